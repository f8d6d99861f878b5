"""Settings: read from the environment, overridden by what is given, refused by name."""

from pathlib import Path

import pytest

from boonart.errors import ConfigurationError
from boonart.settings import default_home, read_settings


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_ENCODER", "open_clip:ViT-L-14/openai")
    monkeypatch.setenv("BOONART_PORT", "8080")
    settings = read_settings()
    assert (settings.encoder, settings.port) == ("open_clip:ViT-L-14/openai", 8080)


def test_given_values_come_first_and_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_PORT", "8080")
    assert read_settings(port=9000).port == 9000
    assert read_settings(port=None).port == 8080


def test_a_bad_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_PORT", "eighty")
    with pytest.raises(ConfigurationError, match=r"BOONART_PORT.*'eighty'") as error:
        read_settings()
    assert error.value.field == "port"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="auto, cpu"):
        read_settings(device="gpu")


def test_secrets_are_masked() -> None:
    assert "hunter2" not in repr(read_settings(qdrant_api_key="hunter2"))


def test_a_local_folder_is_preferred_as_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_home() != tmp_path / ".boonart"
    (tmp_path / ".boonart").mkdir()
    assert default_home() == tmp_path / ".boonart"


def test_all_folders_lie_in_the_home(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    assert {folder.parent for folder in (settings.collections_folder, settings.pictures_folder)} == {tmp_path}
