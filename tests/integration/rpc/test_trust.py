"""Who is let in: tokens, TLS, mutual TLS, the contract's version, the right service."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_support import FakeReranker, batching, encoder_server, reranker_server, serving_settings

from boonart.encoders.fake import FakeEncoder
from boonart.errors import ConfigurationError, Unavailable
from boonart.rpc.channels import CONTRACT_HEADER, Credentials
from boonart.rpc.clients import RemoteEncoder
from boonart.rpc.status import DETAILS_KEY
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc

pytestmark = pytest.mark.integration


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("a-shared-secret\n")
    return file


@pytest.fixture
async def guarded(token_file: Path) -> AsyncIterator[int]:
    settings = serving_settings(token_file=token_file)
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, settings=settings) as server:
        yield server.port


async def test_the_right_token_opens(guarded: int, token_file: Path) -> None:
    client = RemoteEncoder(f"grpc://127.0.0.1:{guarded}", credentials=Credentials.read(token_file=token_file))
    assert len(await client.encode_texts(["cow"])) == 1
    await client.close()


@pytest.mark.parametrize("token", ["", "wrong", "a-shared-secre", "a-shared-secret2"])
async def test_no_token_or_a_wrong_one_is_refused_on_both_sides(guarded: int, token: str) -> None:
    client = RemoteEncoder(f"grpc://127.0.0.1:{guarded}", credentials=Credentials(token=token))
    with pytest.raises(ConfigurationError, match="refused our token") as caught:
        await client.encode_texts(["cow"])
    assert "BOONART_TOKEN_FILE" in caught.value.hint
    await client.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{guarded}") as channel:
        stub = encoder_pb2_grpc.EncoderServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.EncodeTexts(encoder_pb2.EncodeTextsRequest(), metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_needs_no_token(guarded: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{guarded}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("content", [b"", b"\n", "schlüssel".encode(), b"two\nlines"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no token"):
        Credentials.read(token_file=file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        Credentials.read(token_file=tmp_path / "nowhere")


def test_secrets_are_not_shown() -> None:
    assert "a-shared-secret" not in repr(Credentials(token="a-shared-secret", key=b"a-shared-secret"))


async def test_a_caller_of_another_contract_version_is_told_so() -> None:
    async with (
        batching(FakeEncoder()) as encoder,
        encoder_server(encoder) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stub = encoder_pb2_grpc.EncoderServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.EncodeTexts(encoder_pb2.EncodeTextsRequest(), metadata=((CONTRACT_HEADER, "2"),))
        # A tool that knows no header is let in.
        await stub.EncodeTexts(encoder_pb2.EncodeTextsRequest())
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "speaks version 2" in str(caught.value.details())
    packed = dict(caught.value.trailing_metadata())[DETAILS_KEY]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(packed).details[0].Unpack(info)
    assert info.reason == "configuration"


async def test_a_server_of_another_contract_version_is_refused() -> None:
    class Newer(encoder_pb2_grpc.EncoderServiceServicer):
        async def GetModel(self, request, context):  # type: ignore[no-untyped-def]
            return encoder_pb2.EncoderServiceGetModelResponse(contract_version=2, software_version="9.9")

    server = grpc.aio.server()
    encoder_pb2_grpc.add_EncoderServiceServicer_to_server(Newer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = RemoteEncoder(f"grpc://127.0.0.1:{port}")
    with pytest.raises(ConfigurationError, match=r"speaks version 2 .*software 9\.9.* speaks version 1"):
        await client.refresh()
    await client.close()
    await server.stop(0)


async def test_another_service_at_the_address_is_named_as_such() -> None:
    async with reranker_server(FakeReranker()) as server:
        client = RemoteEncoder(server.url)
        with pytest.raises(ConfigurationError, match="another service"):
            await client.encode_texts(["cow"])
        await client.close()


# --- TLS -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with a server's and a client's certificate, and a stranger's."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for authority in ("ca", "stranger-ca"):
        openssl(
            "req",
            "-x509",
            *curve,
            "-subj",
            f"/CN={authority}",
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.pem",
        )
    for name, authority in (("server", "ca"), ("client", "ca"), ("stranger", "stranger-ca")):
        openssl("req", *curve[:-2], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


async def test_tls_protects_and_a_plain_client_is_refused(certificates: Path) -> None:
    settings = serving_settings(tls_certificate=certificates / "server.pem", tls_key=certificates / "server.key")
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, settings=settings) as server:
        trusting = RemoteEncoder(
            f"grpcs://localhost:{server.port}", credentials=Credentials.read(authority=certificates / "ca.pem")
        )
        doubting = RemoteEncoder(
            f"grpcs://localhost:{server.port}", credentials=Credentials.read(authority=certificates / "stranger-ca.pem")
        )
        plain = RemoteEncoder(server.url)
        assert len(await trusting.encode_texts(["cow"])) == 1
        for client in (doubting, plain):
            with pytest.raises(Unavailable):
                await client.encode_texts(["cow"])
        for client in (trusting, doubting, plain):
            await client.close()


async def test_mutual_tls_asks_for_a_certificate_of_our_authority(certificates: Path) -> None:
    settings = serving_settings(
        tls_certificate=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_client_ca=certificates / "ca.pem",
    )
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, settings=settings) as server:
        url = f"grpcs://localhost:{server.port}"

        def client(name: str) -> RemoteEncoder:
            files = {"certificate": certificates / f"{name}.pem", "key": certificates / f"{name}.key"} if name else {}
            return RemoteEncoder(url, credentials=Credentials.read(authority=certificates / "ca.pem", **files))

        known, unknown, bare = client("client"), client("stranger"), client("")
        assert len(await known.encode_texts(["cow"])) == 1
        for stranger in (unknown, bare):
            with pytest.raises(Unavailable):
                await stranger.encode_texts(["cow"])
        for one in (known, unknown, bare):
            await one.close()


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="belong together"):
        Credentials.read(certificate=tmp_path / "client.pem")
    with pytest.raises(ValueError, match="belong together"):
        serving_settings(tls_certificate=tmp_path / "server.pem")
    with pytest.raises(ValueError, match="tls_client_ca needs"):
        serving_settings(tls_client_ca=tmp_path / "ca.pem")
