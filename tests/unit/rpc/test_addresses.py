import pytest

from boonart.errors import ConfigurationError
from boonart.rpc.addresses import parse_address


@pytest.mark.parametrize(
    ("text", "targets", "secure"),
    [
        ("grpc://encoder:50051", ("dns:///encoder:50051",), False),
        ("grpcs://models.example.org:443/", ("dns:///models.example.org:443",), True),
        ("grpc://[::1]:50051", ("dns:///[::1]:50051",), False),
        ("grpc://a:1, grpc://b:2", ("dns:///a:1", "dns:///b:2"), False),
    ],
)
def test_an_address_names_its_replicas(text: str, targets: tuple[str, ...], secure: bool) -> None:
    address = parse_address(text)
    assert (address.targets, address.secure) == (targets, secure)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" , ", "is empty"),
        ("encoder:50051", "has no scheme"),
        ("grpc://a:1,b:2", "has no scheme"),
        ("http://encoder:50051", "has the scheme http"),
        ("grpc://encoder", "has no port"),
        ("grpc://encoder:0", "has no port"),
        ("grpc://:50051", "has no host"),
        ("grpc://encoder:99999", "cannot be read"),
        ("grpc://encoder:50051/v1", "more than a host and a port"),
        ("grpc://me:secret@encoder:50051", "more than a host and a port"),
        ("grpc://a:1,grpcs://b:2", "mixes"),
    ],
)
def test_a_wrong_address_is_refused_with_the_right_form(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        parse_address(text, "encoder_url")
    assert "grpc://HOST:PORT" in caught.value.hint
    assert "BOONART_ENCODER_URL" in caught.value.message
