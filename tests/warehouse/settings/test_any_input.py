"""Whatever a setting or a file of settings holds: it is read, or a SettingsError explains it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hatif.errors import SettingsError
from warehouse.settings.dotenv_file import read
from warehouse.settings.environment import Settings
from warehouse.settings.invoices import InvoiceMapping, read_invoice, read_mapping

#: Pieces that stand near what is right.
PIECES = [
    *(",", ";", "\t", '"', "'", "\n", "\r\n", "#", " ", "=", "-", ":", "%", "~", "/", "*", "\x00"),
    *("date", "from", "name", "valid_from", "hours", "country", "rate", "SA", "USD", "template"),
    *("2026-01-01", "0001-01-01", "9999-12-31", "2026-02-30", "09:00", "24:00", "0.05", "1e999"),
    *("Sun-Thu", "Sun-Thu 09:00-18:00", "contacts=1h", "s3://", "https://", "[", "1" * 30, "nan"),
    *("ا", "٣", "\ufeff", "\u2028", "\x85", "\U0001f600", "HATIF_HOME", "export ", "${X}", "\\"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)
CONTENTS = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=40)
QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def one_line(error: SettingsError) -> None:
    message = str(error)
    assert message.startswith(("HATIF_", ".env"))
    assert message.isprintable()


def _printable(error: ValueError) -> None:
    assert str(error).isprintable()


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
@QUICK
@given(text=TEXTS)
def test_any_text_is_a_value_or_an_error(field: str, text: str) -> None:
    try:
        Settings.load(None, **{field: text})
    except SettingsError as error:
        one_line(error)


@pytest.mark.parametrize(
    "field", ["rate_card", "holidays", "business_hours", "templates", "message_categories"]
)
@QUICK
@given(content=CONTENTS)
def test_any_bytes_are_a_file_or_an_error(tmp_path: Path, field: str, content: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    try:
        Settings.load(None, **{field: str(file)})
    except SettingsError as error:
        one_line(error)


@QUICK
@given(head=st.sampled_from([b"", b"month,amount,currency\n", b"\xef\xbb\xbf"]), content=CONTENTS)
def test_any_bytes_are_an_invoice_or_an_error(tmp_path: Path, head: bytes, content: bytes) -> None:
    file = tmp_path / "invoice.csv"
    file.write_bytes(head + content)
    try:
        lines, refused = read_invoice(file, InvoiceMapping(), "Asia/Riyadh")
    except ValueError as error:
        _printable(error)
    else:
        assert lines
        assert all(one.startswith("line ") and one.isprintable() for one in refused)


@QUICK
@given(content=CONTENTS)
def test_any_bytes_are_a_mapping_or_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mapping.toml").write_bytes(content)
    try:
        read_mapping(tmp_path)
    except ValueError as error:
        _printable(error)


@QUICK
@given(content=CONTENTS)
def test_any_bytes_are_a_dotenv_file_or_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    try:
        read(Path(".env"))
        Settings.load()
    except SettingsError as error:
        one_line(error)
