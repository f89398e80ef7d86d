"""Downloading, against a server on this machine with made-up entries."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simrec.cli.data import data_app
from simrec.datasets.fetch import REGISTRY, PublicSet, fetch, public_set
from simrec.datasets.library import FORMATS, dataset_info, load_dataset
from simrec.datasets.movielens import read_movielens
from simrec.errors import SimrecError
from tests.data_folders import write_100k_folder


def zipped(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            # A date of its own: the clock's would make other bytes in another second.
            stamped = zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0))
            archive.writestr(stamped, content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


class Server:
    """Answers /NAME with files[NAME], or cut to half of it where NAME begins with "cut"."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                name = handler.path.lstrip("/")
                self.requests.append(name)
                if name not in files:
                    handler.send_error(404)
                    return
                body = files[name]
                handler.send_response(200)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body[: len(body) // 2] if name.startswith("cut") else body)

            def log_message(self, format: str, *args: object) -> None:
                pass  # the test's own output stays clean

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{name}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def films(tmp_path: Path) -> dict[str, bytes]:
    folder = write_100k_folder(tmp_path / "films")
    return {f"films/{path.name}": path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def server(
    films: dict[str, bytes], data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    good = zipped(films)
    started = Server(
        {
            "films.zip": good,
            "cut.zip": good,
            "no.zip": b"plain text",
            "up.zip": zipped({"../../outside.txt": b"x"} | films),
            "root.zip": zipped({"/simrec-outside.txt": b"x"} | films),
            "bomb.zip": zipped({"films/u.data": b"0" * 5_000_000}),
            "bad.zip": zipped(films | {"films/u.data": b"1\t2\n"}),
            "bare.zip": zipped({"other.txt": b"x"}),
        }
    )
    yield started
    started.stop()


def entry(server: Server, films: dict[str, bytes], name: str = "films.zip") -> PublicSet:
    return PublicSet(
        url=server.url(name),
        sha256=hashlib.sha256(zipped(films)).hexdigest(),
        size=len(zipped(films)),
        format="movielens",
        folder="films",
        terms="Made up; do as you like.",
        terms_url="https://example.org/terms",
    )


def refuse(made: PublicSet, data_home: Path, expected: str, *, accept: bool = True) -> None:
    with pytest.raises(SimrecError) as caught:
        fetch("films", accept_terms=accept, registry={"films": made})
    assert str(caught.value) == expected
    assert [path for path in data_home.rglob("*") if path.name != "data"] == []


def test_a_good_archive_becomes_a_data_set(
    server: Server, films: dict[str, bytes], tmp_path: Path, data_home: Path
) -> None:
    made = entry(server, films)
    seen: list[tuple[int, int]] = []
    dataset = fetch(
        "films",
        accept_terms=True,
        registry={"films": made},
        progress=lambda done, total: seen.append((done, total)),
        imported_at="2025-01-01T00:00:00+00:00",
    )
    assert dataset.fingerprint == read_movielens(tmp_path / "films", name="films").fingerprint
    assert load_dataset("films").fingerprint == dataset.fingerprint
    assert dataset_info("films")["source"] == made.url
    assert seen[-1] == (made.size, made.size)
    assert {path.name for path in data_home.iterdir()} == {"data"}  # no download is left


def test_nothing_is_asked_of_the_server_before_the_terms_are_accepted(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    refuse(
        entry(server, films),
        data_home,
        "the terms of 'films' are not accepted: Made up; do as you like. In full: "
        "https://example.org/terms; say --accept-terms if you accept them",
        accept=False,
    )
    assert server.requests == []


def test_a_changed_archive_is_refused(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    made = replace(entry(server, films), sha256="0" * 64)
    digest = hashlib.sha256(zipped(films)).hexdigest()
    refuse(
        made,
        data_home,
        f"{made.url} has SHA-256 {digest[:16]}...; expected 0000000000000000...; the archive was "
        "changed: read its terms anew, and import it with `simrec data import` if you trust it",
    )


def test_a_missing_archive_is_reported(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    made = entry(server, films, "gone.zip")
    refuse(
        made,
        data_home,
        f"{made.url} answered 404 Not Found; expected the archive; try again later or import a "
        "copy you have with `simrec data import`",
    )


def test_a_download_that_breaks_off_is_reported_and_can_be_repeated(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    made = entry(server, films, "cut.zip")
    refuse(
        made,
        data_home,
        f"{made.url} broke off after {made.size // 2} of {made.size} bytes; expected the whole "
        "archive; fetch it again",
    )
    again = {"films": entry(server, films)}
    assert len(fetch("films", accept_terms=True, registry=again).log) == 3


def test_a_server_that_is_not_there_is_reported(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    made = entry(server, films)
    server.http.server_close()  # nobody listens on the port any more
    with pytest.raises(SimrecError) as caught:
        fetch("films", accept_terms=True, registry={"films": made})
    assert str(caught.value).startswith(f"{made.url} cannot be reached (")
    assert str(caught.value).endswith(
        "; expected the archive; check the connection or import a copy you have with `simrec data "
        "import`"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "no.zip",
            "the archive cannot be unpacked (File is not a zip file); expected a zip file; fetch "
            "it again",
        ),
        (
            "up.zip",
            "the archive holds '../../outside.txt', which lies outside its folder; expected plain "
            "names; do not trust it",
        ),
        (
            "root.zip",
            "the archive holds '/simrec-outside.txt', which lies outside its folder; expected "
            "plain names; do not trust it",
        ),
        (
            "bomb.zip",
            "the archive would unpack to more than 100 times its size; expected a data set; do "
            "not trust it",
        ),
        (
            "bad.zip",
            "u.data line 1 has 2 columns; expected 4 (user, film, rating, timestamp); correct the "
            "line",
        ),
    ],
)
def test_an_archive_with_a_bad_content_is_refused(
    server: Server, films: dict[str, bytes], data_home: Path, name: str, expected: str
) -> None:
    made = entry(server, films, name)
    body = server.files[name]
    refuse(replace(made, sha256=hashlib.sha256(body).hexdigest()), data_home, expected)
    assert not Path("/simrec-outside.txt").exists()


def test_an_archive_without_its_folder_is_refused(
    server: Server, films: dict[str, bytes], data_home: Path
) -> None:
    body = zipped({"other.txt": b"x"})
    made = replace(entry(server, films, "bare.zip"), sha256=hashlib.sha256(body).hexdigest())
    with pytest.raises(SimrecError) as caught:
        fetch("films", accept_terms=True, registry={"films": made})
    assert str(caught.value).startswith("there is no folder ")
    assert [path for path in data_home.rglob("*") if path.name != "data"] == []


def test_a_taken_name_is_refused_before_the_download(
    server: Server, films: dict[str, bytes]
) -> None:
    registry = {"films": entry(server, films)}
    fetch("films", accept_terms=True, registry=registry)
    with pytest.raises(SimrecError) as caught:
        fetch("films", accept_terms=True, registry=registry)
    assert str(caught.value) == (
        "there is a data set 'films' already; expected a new name; choose another or say --replace"
    )
    assert server.requests == ["films.zip"]
    fetch("films", accept_terms=True, registry=registry, replace=True)
    assert server.requests == ["films.zip"] * 2


def test_an_unknown_public_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(SimrecError) as caught:
        public_set("ml-100")
    assert str(caught.value) == "there is no public data set 'ml-100'; did you mean 'ml-100k'?"


def test_every_entry_of_the_registry_is_complete() -> None:
    for name, made in REGISTRY.items():
        assert made.url.startswith("https://") and made.terms_url.startswith("https://"), name
        assert len(bytes.fromhex(made.sha256)) == 32, name
        assert made.format in FORMATS and made.size > 0 and made.terms, name


def test_the_command_shows_the_terms_and_asks(
    server: Server, films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTRY, "films", entry(server, films))
    refused = CliRunner().invoke(data_app, ["fetch", "films"], input="n\n")
    assert "Terms: Made up; do as you like. In full: https://example.org/terms" in refused.output
    assert isinstance(refused.exception, SimrecError)
    assert server.requests == []
    accepted = CliRunner().invoke(data_app, ["fetch", "films"], input="y\n")
    assert accepted.exit_code == 0, accepted.output
    assert "users: 2\nitems: 3\nevents: 3\n" in accepted.output
    again = CliRunner().invoke(data_app, ["fetch", "films", "--accept-terms", "--replace"])
    assert again.exit_code == 0 and "Do you accept" not in again.output
