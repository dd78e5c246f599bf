# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of weights against a local web server that misbehaves: the right file or none, and an error that helps."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import bad_server as bad
import pytest

from animerun_addon.errors import Cancelled, InputError, OutputError
from animerun_addon.model_bridge import download, weights
from animerun_addon.model_bridge.catalog import read_catalog
from animerun_addon.model_bridge.download import Patience
from animerun_addon.model_bridge.model_entry import Digest, DigestKind, Format, Host
from animerun_addon.model_bridge.weights import Cache, Hosts, State
from animerun_addon.output import alone_in
from animerun_addon.pipeline.job import Job

CONTENT = bad.torch_file()
OTHER = bad.torch_file(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_BLOB = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
QUICK = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=0.5, connect_s=5.0, silence_s=5.0)


@pytest.fixture(scope="module")
def running():
    with bad.serving(CONTENT) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server(running):
    running.behave(bad.whole)
    return running


@pytest.fixture
def cache(tmp_path, server):
    hosts = Hosts(f"{server.url}/uc?export=download&id=", f"{server.url}/")
    return Cache(tmp_path / "weights", hosts, QUICK)


@pytest.fixture
def entry(server, cache):
    """A model whose weights are on the server, known by their sha256, its licence agreed to."""
    model = read_catalog().model("gma")
    cache.accept(model)
    return model, at_url(model, f"{server.url}/file.pth")


def at_url(model, url):
    digest = Digest(DigestKind.SHA256, SHA256)
    return replace(model.weights[0], host=Host.URL, address=url, digest=digest)


def get(cache, entry, **options):
    return Job("Get", cache.get_steps(*entry, **{"online": True, **options})).run()


def left_over(cache):
    """What lies in the model's folder beside a file and its origin."""
    folder = cache.folder / "gma"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


DONE = ["gma-things.pth", "gma-things.pth.origin.json"]


def assert_whole(cache, path):
    assert path.read_bytes() == CONTENT
    assert left_over(cache) == DONE


# A good line, and bad ones --------------------------------------------------------------------------------------------


def test_a_file_is_downloaded_once(cache, entry, server):
    assert_whole(cache, get(cache, entry))
    get(cache, entry, online=False)
    assert len(server.asked) == 1


def test_it_says_where_it_came_from(cache, entry, server):
    get(cache, entry)
    origin = cache.origin(*entry)
    assert (origin.source, origin.size, origin.sha256) == (f"{server.url}/file.pth", len(CONTENT), SHA256)


@pytest.mark.parametrize("kind", list(DigestKind))
def test_every_kind_of_fingerprint_knows_the_file_and_refuses_another(cache, entry, server, kind):
    right = {DigestKind.SHA256: SHA256, DigestKind.SHA256_PREFIX: SHA256[:8], DigestKind.GIT_BLOB: GIT_BLOB}[kind]
    model = entry[0]
    wrong = replace(entry[1], digest=Digest(kind, f"{int(right[0], 16) ^ 1:x}{right[1:]}"))
    with pytest.raises(InputError, match=f"not the right file: its {kind} is {right}, not "):
        get(cache, (model, wrong))
    assert not cache.has(model, wrong)
    assert left_over(cache) == []
    assert_whole(cache, get(cache, (model, replace(entry[1], digest=Digest(kind, right)))))


def test_a_dropped_download_goes_on_where_it_stopped(cache, entry, server):
    server.behave(bad.drops_after(100_000), bad.drops_after(50_000), bad.whole)
    assert_whole(cache, get(cache, entry))
    starts = [asked.start for asked in server.asked]
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] < starts[2] <= 150_000


def test_many_drops_do_not_end_it_while_something_arrives(cache, entry, server):
    server.behave(bad.drops_after(40_000))
    assert_whole(cache, get(cache, entry))
    assert len(server.asked) > QUICK.attempts + 1


def test_a_line_that_brings_nothing_is_given_up(cache, entry, server):
    server.behave(bad.hang_up)
    with pytest.raises(
        InputError, match=r"connection dropped.*try again later.*in a browser.*weights import gma/things"
    ):
        get(cache, entry)
    assert len(server.asked) == QUICK.attempts


def test_what_has_arrived_serves_the_next_process(cache, entry, server):
    server.behave(bad.drops_after(100_000), bad.hang_up)
    with pytest.raises(InputError):
        get(cache, entry)
    assert left_over(cache) == [".gma-things.pth.part", ".gma-things.pth.part.json"]
    server.behave(bad.whole)
    assert_whole(cache, get(cache, entry))
    assert server.asked[0].start > 0


def test_what_arrived_from_another_address_does_not(cache, entry, server):
    server.behave(bad.drops_after(100_000), bad.hang_up)
    with pytest.raises(InputError):
        get(cache, entry)
    server.behave(bad.whole)
    assert_whole(cache, get(cache, (entry[0], replace(entry[1], address=f"{server.url}/elsewhere.pth"))))
    assert server.asked[0].start == 0


@pytest.mark.parametrize("note", ["", "{", "[]", "null", '{"url": 5}'])
def test_a_damaged_note_begins_anew(cache, entry, server, note):
    folder = cache.folder / "gma"
    folder.mkdir(parents=True)
    (folder / ".gma-things.pth.part").write_bytes(b"from somewhere")
    (folder / ".gma-things.pth.part.json").write_text(note)
    assert_whole(cache, get(cache, entry))
    assert server.asked[0].start == 0


def test_a_server_without_ranges_starts_again(cache, entry, server):
    server.behave(bad.drops_without_ranges(100_000), bad.without_ranges)
    assert_whole(cache, get(cache, entry))


def test_a_server_without_ranges_that_always_drops_is_given_up(cache, entry, server):
    server.behave(bad.drops_without_ranges(100_000))
    with pytest.raises(InputError, match="connection dropped"):
        get(cache, entry)
    assert len(server.asked) == QUICK.attempts + 1


def test_a_server_that_gives_pieces_is_asked_for_the_rest(cache, entry, server):
    server.behave(bad.in_pieces(100_000))
    assert_whole(cache, get(cache, entry))
    assert len(server.asked) == 4


def test_a_file_that_changes_meanwhile_is_not_put_together_of_two(cache, entry, server):
    server.behave(bad.drops_after(100_000, tag='"old"'), bad.whole)
    assert_whole(cache, get(cache, (entry[0], replace(entry[1], digest=None))))
    assert [asked.start > 0 for asked in server.asked] == [False, True, False]


def test_a_begun_file_with_damage_in_it_is_fetched_once_more(cache, entry, server):
    server.behave(bad.drops_after(100_000), bad.hang_up)
    with pytest.raises(InputError):
        get(cache, entry)
    part = cache.folder / "gma" / ".gma-things.pth.part"
    part.write_bytes(b"x" * part.stat().st_size)
    server.behave(bad.whole)
    assert_whole(cache, get(cache, entry))
    assert [asked.start > 0 for asked in server.asked] == [True, False]


def test_a_begun_file_that_is_too_long_begins_anew(cache, entry, server):
    server.behave(bad.drops_after(100_000), bad.hang_up)
    with pytest.raises(InputError):
        get(cache, entry)
    with (cache.folder / "gma" / ".gma-things.pth.part").open("ab") as part:
        part.write(b"x" * len(CONTENT))
    server.behave(bad.whole)
    assert_whole(cache, get(cache, entry))


def test_all_of_it_arrived_but_was_not_checked(cache, entry, server):
    """Killed between the last byte and the check: the server has nothing more to give, and that is fine."""
    folder = cache.folder / "gma"
    folder.mkdir(parents=True)
    part = folder / ".gma-things.pth.part"
    part.write_bytes(CONTENT)
    download.note_of(part).write_text(json.dumps({"url": entry[1].address, "tag": bad.TAG, "total": len(CONTENT)}))
    assert_whole(cache, get(cache, entry))
    assert [asked.start for asked in server.asked] == [len(CONTENT)]


def test_a_length_that_is_not_told_will_do(cache, entry, server):
    server.behave(bad.of_unknown_length)
    assert_whole(cache, get(cache, entry))


def test_a_file_without_an_end_is_stopped(cache, entry, server, monkeypatch):
    server.behave(bad.endless)
    with pytest.raises(InputError, match="gives more than it should"):
        get(cache, (entry[0], replace(entry[1], size=len(CONTENT))))
    monkeypatch.setattr(download, "_MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="gives more than it should"):
        get(cache, entry)


def test_a_server_of_drops_and_wrong_files_is_asked_twice_and_no_more(cache, entry, server):
    server.content, content = OTHER, server.content
    try:
        server.behave(bad.drops_after(50_000), bad.whole, bad.drops_after(50_000), bad.whole)
        with pytest.raises(InputError, match="not the right file"):
            get(cache, entry)
        assert len(server.asked) == 4
    finally:
        server.content = content


def test_a_server_that_announces_too_little_is_found_out(cache, entry, server):
    server.behave(bad.announces_too_little)
    with pytest.raises(InputError, match="not the right file: its sha256 is"):
        get(cache, entry)
    with pytest.raises(InputError, match=r"not the right file: its end is missing, or it is damaged"):
        get(cache, (entry[0], replace(entry[1], digest=None)))
    assert left_over(cache) == []


def test_a_server_that_announces_too_much_is_given_up(cache, entry, server):
    server.behave(bad.drops_after(len(CONTENT), announced=len(CONTENT) + 1000))
    with pytest.raises(InputError, match="connection dropped"):
        get(cache, entry)
    assert not cache.has(*entry)


def test_a_file_of_another_size_than_the_catalogs_is_refused_before_it_comes(cache, entry, server):
    model, one = entry
    with pytest.raises(InputError, match=f"is a file of {len(CONTENT)} bytes, not of 5 as its catalog entry"):
        get(cache, (model, replace(one, size=5)))
    assert_whole(cache, get(cache, (model, replace(one, size=len(CONTENT)))))


# What servers answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_waited_for(cache, entry, server, code):
    server.behave(bad.status(code), bad.status(code), bad.whole)
    assert_whole(cache, get(cache, entry))


def test_trouble_that_stays_is_told(cache, entry, server):
    server.behave(bad.status(500))
    with pytest.raises(
        InputError, match=r"the server answers 500 .*try again later; or fetch 'gma-things\.pth' from http"
    ):
        get(cache, entry)
    assert len(server.asked) == QUICK.attempts


def test_retry_after_is_heeded(cache, entry, server):
    server.behave(bad.status(429, Retry_After="1"), bad.whole)
    begun = time.monotonic()
    assert_whole(cache, get(replace(cache, patience=replace(QUICK, longest_wait_s=2.0)), entry))
    assert time.monotonic() - begun >= 1.0


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_long_wait_is_left_to_the_user(cache, entry, server, as_date):
    words = formatdate(time.time() + 3600, usegmt=True) if as_date else "3600"
    server.behave(bad.status(429, Retry_After=words))
    # Dates have whole seconds, and some time passes.
    with pytest.raises(InputError, match=r"429.* Try again in (59|60) minutes"):
        get(cache, entry)
    assert len(server.asked) == 1


@pytest.mark.parametrize("words", ["soon", "-1", "", "9" * 40, "Fri, 99 Nov 2020"])
def test_senseless_waits_do_no_harm(cache, entry, server, words):
    server.behave(bad.status(503, Retry_After=words), bad.whole)
    if words == "9" * 40:
        with pytest.raises(InputError, match="Try again in"):
            get(cache, entry)
    else:
        assert_whole(cache, get(cache, entry))


@pytest.mark.parametrize("code", [401, 403, 404, 410, 204])
def test_a_refusal_is_told_at_once(cache, entry, server, code):
    server.behave(bad.status(code))
    with pytest.raises(InputError, match=rf"file\.pth' answers {code} .*in a browser"):
        get(cache, entry)
    assert len(server.asked) == 1


def test_redirects_are_followed(cache, entry, server):
    server.behave(bad.redirect("/b"), bad.redirect(f"{server.url}/c"), bad.whole)
    assert_whole(cache, get(cache, entry))
    assert [asked.path for asked in server.asked] == ["/file.pth", "/b", "/c"]


def test_a_redirected_download_goes_on_too(cache, entry, server):
    server.behave(bad.redirect("/b"), bad.drops_after(100_000), bad.redirect("/b"), bad.whole)
    assert_whole(cache, get(cache, entry))
    assert server.asked[-1].start > 0


def test_redirects_in_a_circle_are_told(cache, entry, server):
    server.behave(bad.redirect("/file.pth"))
    with pytest.raises(InputError, match="leads in circles"):
        get(cache, entry)


def test_from_secure_to_insecure_is_refused():
    class Answer:
        status_code, url = 200, "http://weights.invalid/file"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    class Session:
        def get(self, *_, **__):
            return Answer()

    transfer = download._Transfer(download.Errand("https://weights.invalid/file"), Path("part"), QUICK)
    with pytest.raises(InputError, match="not secure"):
        transfer._receive(Session(), "https://weights.invalid/file")


def test_a_web_page_in_place_of_the_file_is_named(cache, entry, server):
    server.behave(bad.page("<html><title>Sign in\n to  continue</title>"))
    with pytest.raises(InputError, match="gives no file but the web page 'Sign in to continue'"):
        get(cache, entry)


def test_a_page_that_says_it_is_no_page_is_found_out(cache, entry, server):
    server.behave(bad.other_bytes(b"\n<!DOCTYPE html><p>Not here"))
    with pytest.raises(InputError, match="not the right file: it is a web page"):
        get(cache, entry)


def test_gits_note_about_a_large_file_is_named(cache, entry, server):
    server.behave(bad.other_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"))
    with pytest.raises(InputError, match="git's note about a large file"):
        get(cache, entry)


def test_an_empty_file_is_named(cache, entry, server):
    server.behave(bad.other_bytes(b""))
    with pytest.raises(InputError, match="it is empty"):
        get(cache, entry)


def test_what_nobody_asked_to_compress_is_refused(cache, entry, server):
    server.behave(lambda handler, _: bad.head(handler, 200, 0, Content_Encoding="gzip"))
    with pytest.raises(InputError, match="compressed"):
        get(cache, entry)
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_nobody_there_is_told(cache, entry):
    nowhere = (entry[0], replace(entry[1], address="http://127.0.0.1:9/file"))
    with pytest.raises(InputError, match="the connection dropped, or there is none"):
        get(cache, nowhere)


def test_a_silent_server_is_given_up(cache, entry, server):
    server.behave(bad.silent)
    with pytest.raises(InputError, match="the server does not answer"):
        get(replace(cache, patience=replace(QUICK, attempts=2, silence_s=0.1)), entry)


def test_the_proxy_of_the_environment_is_used(cache, entry, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert_whole(cache, get(cache, (entry[0], replace(entry[1], address="http://weights.invalid/file.pth"))))
    assert server.asked[0].path == "http://weights.invalid/file.pth"


def test_a_proxy_that_is_not_there_is_named(cache, entry, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="the proxy does not answer"):
        get(cache, (entry[0], replace(entry[1], address="http://weights.invalid/file.pth")))


# Drive and Dropbox ----------------------------------------------------------------------------------------------------

DRIVE_ID = "1M1LEpx70tJ72AIV2TQKr6NE_7mJ7tLYx"
VIRUS_PAGE = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form action="/search"><input type="hidden" name="q" value="no"></form>
<form id="download-form" action="{}/download?from=page&amp;x=1" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/>
<input type="hidden" name="id" value="{}"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="at" value="A&amp;B:1"></form></body></html>"""


@pytest.fixture
def on_drive(entry):
    return entry[0], replace(entry[1], host=Host.DRIVE, address=DRIVE_ID)


def test_drives_question_is_answered(cache, on_drive, server):
    server.behave(bad.page(VIRUS_PAGE.format(server.url, DRIVE_ID), Set_Cookie="seen=1"), bad.whole)
    assert_whole(cache, get(cache, on_drive))
    question, answer = server.asked
    assert question.path == f"/uc?export=download&id={DRIVE_ID}"
    assert answer.path == f"/download?from=page&x=1&id={DRIVE_ID}&confirm=t&at=A%26B%3A1"
    assert "seen=1" in answer.headers["Cookie"]


def test_a_dropped_download_from_drive_asks_again_and_goes_on(cache, on_drive, server):
    question = bad.page(VIRUS_PAGE.format(server.url, DRIVE_ID))
    server.behave(question, bad.drops_after(100_000), question, bad.whole)
    assert_whole(cache, get(cache, on_drive))
    assert "Range" not in server.asked[2].headers
    assert server.asked[3].start > 0


def test_drive_without_a_question_will_do(cache, on_drive):
    assert_whole(cache, get(cache, on_drive))


def test_drives_excuse_is_passed_on(cache, on_drive, server):
    server.behave(bad.page("<title>Google Drive - Quota exceeded</title><p>Too many users</p>"))
    with pytest.raises(InputError, match="gives no file but the web page 'Google Drive - Quota exceeded'"):
        get(cache, on_drive)


def test_dropbox_is_asked_for_the_file_and_not_its_page(cache, entry, server):
    model, one = entry
    for address, path in {
        "s/abc/anime.ckpt": "/s/abc/anime.ckpt?dl=1",
        "scl/fi/abc/a.ckpt?rlkey=x&dl=0": "/scl/fi/abc/a.ckpt?rlkey=x&dl=1",
    }.items():
        server.behave(bad.whole)
        path_here = get(cache, (model, replace(one, host=Host.DROPBOX, address=address)))
        assert server.asked[0].path == path
        path_here.unlink()


# Rules before anything is asked ---------------------------------------------------------------------------------------


def test_nothing_is_asked_while_blender_is_offline(cache, entry, server):
    with pytest.raises(InputError, match=r"Preferences > System > Network.*or fetch 'gma-things.pth' from http"):
        get(cache, entry, online=False)
    assert server.asked == []


def test_nothing_is_asked_before_the_licence_is_accepted(cache, server):
    model = read_catalog().model("pwcnet")
    one = at_url(model, f"{server.url}/file.pth")
    with pytest.raises(InputError, match=r"CC-BY-NC-SA-4\.0 .*may not be used commercially.*--accept-licence"):
        get(cache, (model, one))
    assert server.asked == []
    cache.accept(model)
    get(cache, (model, one))


def test_a_licence_is_accepted_once_for_all_blenders_and_again_when_it_changes(cache, entry):
    model = entry[0]
    assert Cache(cache.folder).has_accepted(model)
    assert not cache.has_accepted(replace(model, licence=replace(model.licence, note="pay")))
    (cache.folder / "gma.licence.json").write_text("[1]")
    assert not cache.has_accepted(model)


def test_files_that_programs_may_not_fetch_are_left_to_the_user(cache):
    model, one = read_catalog().weights("raft/sintel")
    with pytest.raises(
        InputError, match=r"raft-sintel\.pth' from https://drive\.google\.com/drive/folders/.* import raft/s"
    ):
        get(cache, (model, one))


def test_a_users_own_file_is_used_where_it_is(cache, entry, tmp_path):
    own = replace(entry[1], host=Host.PATH, address=str(tmp_path / "mine.pth"))
    with pytest.raises(InputError, match=r"no file .*mine\.pth': put it there, or change path in"):
        get(cache, (entry[0], own))
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    assert get(cache, (entry[0], own)) == tmp_path / "mine.pth"


# Watched, cancelled, at once ------------------------------------------------------------------------------------------


def test_progress_tells_bytes_and_never_more_than_all(cache, entry, server):
    told = [(each.done, each.total, each.message) for each in cache.get_steps(*entry, online=True)]
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any(f"of {len(CONTENT) / 1e6:.1f} MB" in message for *_, message in told)
    assert told[-1][2].startswith("Checking")


def test_cancel_is_at_once_though_the_server_is_silent_and_what_arrived_stays(cache, entry, server):
    more = threading.Event()
    server.behave(bad.slow(100_000, more))
    steps = cache.get_steps(*entry, online=True)
    part = cache.folder / "gma" / ".gma-things.pth.part"
    while not part.is_file() or part.stat().st_size < 60_000:
        next(steps)
    begun = time.monotonic()
    steps.close()
    assert time.monotonic() - begun < 0.5
    size = part.stat().st_size
    more.set()
    time.sleep(0.1)
    assert part.stat().st_size == size
    server.behave(bad.whole)
    assert_whole(cache, get(cache, entry))
    assert server.asked[-1].start == size


def test_a_cancelled_job_says_so_and_asks_no_more(cache, entry, server):
    server.behave(bad.status(500))
    job = Job("Get", replace(cache, patience=replace(QUICK, first_wait_s=30.0)).get_steps(*entry, online=True))

    def cancel(status):
        status.cancel_requested = "again in" in status.progress.message

    with pytest.raises(Cancelled):
        job.run(cancel)
    time.sleep(0.1)
    assert len(server.asked) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "download"]


PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from animerun_addon.errors import AnimeRunError
from animerun_addon.model_bridge.catalog import read_catalog
from animerun_addon.model_bridge.model_entry import Host
from animerun_addon.model_bridge.weights import Cache
from animerun_addon.pipeline.job import Job
model = read_catalog().model("gma")
one = replace(model.weights[0], host=Host.URL, address=sys.argv[2], digest=None)
print("ready", flush=True)
sys.stdin.readline()
try:
    print(Job("Get", Cache(Path(sys.argv[1])).get_steps(model, one, online=True)).run())
except AnimeRunError as error:
    sys.exit(str(error))
"""


def test_processes_that_download_at_once_do_no_harm(cache, entry, server):
    words = [sys.executable, "-c", PROGRAM, str(cache.folder), f"{server.url}/file.pth"]
    environment = {**os.environ, "PYTHONPATH": str(Path(weights.__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    others = [subprocess.Popen(words, env=environment, **pipes) for _ in range(3)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("\n")
        other.stdin.flush()
    said = [other.communicate(timeout=60) for other in others]
    for other, (_, complaint) in zip(others, said, strict=True):
        assert other.returncode == 0 or "Another process is writing 'gma-things.pth'" in complaint
    assert 0 in [other.returncode for other in others]
    assert_whole(cache, cache.path(*entry))


def test_a_second_process_is_told_to_wait(cache, entry):
    (cache.folder / "gma").mkdir(parents=True)
    with (
        alone_in(cache.folder / "gma", "gma-things.pth"),
        pytest.raises(OutputError, match="wait for it, or cancel it"),
    ):
        get(cache, entry)


def test_what_another_process_brought_meanwhile_is_not_downloaded_again(cache, entry, server, monkeypatch):
    @contextlib.contextmanager
    def alone_at_last(*_):
        cache.path(*entry).write_bytes(CONTENT)
        yield

    monkeypatch.setattr(weights, "alone_in", alone_at_last)
    assert get(cache, entry).read_bytes() == CONTENT
    assert server.asked == []


def test_a_folder_that_cannot_be_written_to_is_named(cache, entry):
    (cache.folder / "gma").write_text("a file is in the way")
    with pytest.raises(OutputError, match=r"Cannot write into .*gma.*choose another folder"):
        get(cache, entry)


def test_a_full_disk_is_told_before_the_download(cache, entry, monkeypatch):
    usage = download.shutil.disk_usage(cache.folder.parent)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match=r"0 MB left, the file takes 0 MB.*choose another folder"):
        get(cache, entry)


# Files of the user's own ----------------------------------------------------------------------------------------------


def put(cache, entry, source, **options):
    return Job("Import", cache.import_steps(*entry, source, **options)).run()


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "downloads" / "things (1).pth"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_chosen_file_is_copied_into_the_cache(cache, entry, own):
    assert_whole(cache, put(cache, entry, own))
    own.unlink()
    assert get(cache, entry, online=False).read_bytes() == CONTENT
    assert cache.origin(*entry).source == str(own)


def test_a_chosen_file_may_be_linked_to(cache, entry, own):
    path = put(cache, entry, own, link=True)
    assert path.is_symlink()
    assert_whole(cache, path)
    put(cache, entry, own)
    assert not path.is_symlink()
    assert_whole(cache, path)


def test_importing_asks_for_no_licence_and_no_line(tmp_path, own):
    cache = Cache(tmp_path / "weights")
    model, one = read_catalog().weights("raft")
    assert put(cache, (model, one), own).read_bytes() == CONTENT


def test_a_wrong_file_is_refused_and_the_old_one_stays(cache, entry, own):
    put(cache, entry, own)
    own.write_bytes(OTHER)
    with pytest.raises(
        InputError, match=r"is not the 'things' weights of GMA: its sha256 is .*a TOML file of your own"
    ):
        put(cache, entry, own)
    with pytest.raises(InputError, match=f"it has {len(OTHER)} bytes, not {len(CONTENT)}"):
        put(cache, (entry[0], replace(entry[1], digest=None, size=len(CONTENT))), own)
    assert_whole(cache, cache.path(*entry))


def archive(**files):
    made = bad.io.BytesIO()
    with bad.zipfile.ZipFile(made, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<html>Not found", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git's note"),
        (CONTENT[:-100], "its end is missing"),
        (b"PK\x03\x04", "its end is missing"),
        (b"\x89PNG\r\n", "does not begin as files of torch do"),
        (archive(**{"models/raft-things.pth": b"1", "models/raft-kitti.pth": b"2", "readme": b"3"}),
         "an archive of models/raft-things.pth, models/raft-kitti.pth: unpack it and choose one"),
        (archive(picture=b"1"), "it is an archive, but none of torch"),
    ],
)  # fmt: skip
def test_what_is_no_weights_is_told_without_a_fingerprint(cache, entry, own, content, words):
    own.write_bytes(content)
    with pytest.raises(InputError, match=words):
        put(cache, (entry[0], replace(entry[1], digest=None)), own)
    assert left_over(cache) == []


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Format.TORCH, CONTENT),
        (Format.TORCH, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
        (Format.SAFETENSORS, (2).to_bytes(8, "little") + b"{}"),
        (Format.TORCHSCRIPT, archive(**{"net/constants.pkl": b"", "net/data.pkl": b""})),
        (Format.EXPORT, archive(**{"serialized_exported_program.json": b"{}"})),
        (Format.EXPORT, archive(**{"net/models/model.json": b"{}"})),
    ],
)
def test_every_format_is_known_when_it_is_seen(cache, entry, own, kind, content):
    own.write_bytes(content)
    for other in Format:
        one = replace(entry[1], digest=None, format=other)
        if other is kind or (kind, other) == (Format.TORCHSCRIPT, Format.TORCH):
            assert put(cache, (entry[0], one), own).read_bytes() == content
        else:
            with pytest.raises(InputError, match=r"begin as|none of"):
                put(cache, (entry[0], one), own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchs_own_files_are_known(cache, entry, own):
    torch = pytest.importorskip("torch")
    one = replace(entry[1], digest=None)
    for is_new in (True, False):
        torch.save({"a": torch.zeros(3)}, own, _use_new_zipfile_serialization=is_new)
        put(cache, (entry[0], one), own)
    program = torch.nn.Linear(2, 2)
    torch.jit.save(torch.jit.trace(program, torch.zeros(1, 2)), own)
    put(cache, (entry[0], replace(one, format=Format.TORCHSCRIPT)), own)


def test_a_file_that_is_not_there_or_a_folder_is_named(cache, entry, tmp_path):
    for path in (tmp_path / "nothing.pth", tmp_path):
        with pytest.raises(InputError, match="There is no file"):
            put(cache, entry, path)


def test_what_is_used_where_it_is_is_not_imported(cache, entry, own):
    with pytest.raises(InputError, match=r"is used from '/elsewhere': change path there"):
        put(cache, (entry[0], replace(entry[1], host=Host.PATH, address="/elsewhere")), own)


# Checked later --------------------------------------------------------------------------------------------------------


def verdict(cache, entry):
    return Job("Verify", cache.verify_steps([entry])).run()[0]


def test_an_official_file_is_right(cache, entry):
    assert verdict(cache, entry).state is State.MISSING
    get(cache, entry)
    assert verdict(cache, entry).state is State.RIGHT


def test_a_file_that_rots_is_found_with_and_without_an_official_fingerprint(cache, entry, own):
    unknown = (entry[0], replace(entry[1], digest=None))
    path = put(cache, unknown, own)
    assert verdict(cache, unknown).state is State.UNCHANGED
    path.write_bytes(OTHER)
    found = verdict(cache, unknown)
    assert not found.is_good
    assert f"it has changed since it came from '{own}'" in found.why
    assert "its sha256 is" in verdict(cache, entry).why
    assert f"delete '{path}' and get it again" in verdict(cache, entry).why


def test_a_file_of_unknown_origin_is_readable_and_no_more(cache, entry, own):
    unknown = (entry[0], replace(entry[1], digest=None))
    path = put(cache, unknown, own)
    for origin in ("", "[]", '{"source": 1}'):
        path.with_name(f"{path.name}.origin.json").write_text(origin)
        assert verdict(cache, unknown).state is State.UNKNOWN
    path.write_bytes(b"<html>")
    assert verdict(cache, unknown).state is State.WRONG


def test_the_users_folder_is_the_same_for_every_blender_and_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("ANIMERUN_MODELS", str(tmp_path))
    assert Cache().folder == tmp_path / "weights"
    monkeypatch.delenv("ANIMERUN_MODELS")
    monkeypatch.setattr(weights.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Cache().folder == tmp_path / "data" / "animerun" / "weights"
    monkeypatch.setattr(weights.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert Cache().folder == tmp_path / "local" / "AnimeRun" / "weights"
