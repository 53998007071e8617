"""The server as its clients meet it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from creps.errors import ConfigError
from creps.rendering._renderer import render
from creps.serving import _pages as pages
from creps.serving._app import build_app
from creps.serving._identifiers import parse_identifier
from creps.serving._iiif import FORMATS
from creps.serving._models import ModelRegistry
from creps.serving._pool import Pool
from creps.serving._responses import ENCODINGS, encoded
from creps.serving._settings import Limits, ServeSettings
from patience import PATIENCE, wait_until
from served import in_memory, on_loopback
from tiny_creps import tiny_creps

SIDE = 512
LIMITS = Limits(pixels=128 * 128, side=256, samples=2**15)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("answers")
    models = {
        "tiny": tiny_creps(),
        "gray": tiny_creps(img_channels=1),
        "kinds": tiny_creps(label_dim=3),
        "drawn": tiny_creps(label_dim=3, class_from_latent=True),
    }
    with in_memory(models, size=SIDE, cache=folder, limits=LIMITS) as client:
        yield client


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


def test_the_models_are_described(client: TestClient) -> None:
    about = client.get("/api/models").json()
    tiny, _, kinds, drawn = about["models"]
    assert (tiny["name"], tiny["resolution"], tiny["size"]) == ("tiny", 16, SIDE)
    assert (tiny["trained"], tiny["detail"]) == (16, 16)
    assert len(tiny["pin"]) == 8
    assert (tiny["classes"], kinds["classes"], drawn["classes"]) == (0, 3, 3)
    needed = [each["needs_class"] for each in (tiny, kinds, drawn)]
    assert needed == [False, True, False]  # the latents of `drawn` decide where none is chosen
    assert about["limits"]["pixels"] == LIMITS.pixels
    assert not about["jobs"]


def test_the_default_class_is_drawn_where_none_is_chosen(tmp_path: Path) -> None:
    generator = tiny_creps(label_dim=3)
    generator.record = {"classes": ["oak", "ash", "elm"], "default_class": "elm"}
    with in_memory({"trees": generator}, size=SIDE, cache=tmp_path) as client:
        (told,) = client.get("/api/models").json()["models"]
        assert (told["class_names"], told["default_class"]) == (["oak", "ash", "elm"], 2)
        addresses = [f"/view/trees:3{c}?height=16&width=16&format=png" for c in ("", ";c=2")]
        plain, chosen = (pixels(client.get(address).content) for address in addresses)
        np.testing.assert_array_equal(plain, chosen)
        np.testing.assert_array_equal(plain, render(generator, seed=3, size=16))
        assert client.get("/view/trees:3;c=3?height=16&width=16").status_code == 400
    pin = told["pin"]
    generator.record = {**generator.record, "default_class": "ash"}
    with in_memory({"trees": generator}, size=SIDE, cache=tmp_path) as client:
        assert client.get("/api/models").json()["models"][0]["pin"] != pin


def test_a_tile_of_the_plane_is_the_picture_there(client: TestClient) -> None:
    answer = client.get("/plane/tiny:3/2/1_2.png")
    expected = render(tiny_creps(), seed=3, size=256, window=(0.5, 0.25, 0.75, 0.5))
    assert answer.headers["content-type"] == "image/png"
    assert np.abs(pixels(answer.content).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("level", [0, 1, 5])
def test_the_plane_of_a_texture_repeats_to_the_last_bit(tmp_path: Path, level: int) -> None:
    """A plane unit has 2 ** level tiles a side."""
    models, turn = {"texture": tiny_creps(period=(1.0, 1.0))}, 2**level
    with in_memory(models, size=SIDE, cache=tmp_path, limits=LIMITS) as client:
        for y, x in ((0, 0), (turn // 2, turn - 1)):
            once = pixels(client.get(f"/plane/texture:3/{level}/{x}_{y}.png").content)
            for down, across in ((1, 0), (0, 1), (-2, 7), (300, -4)):
                place = f"{x + across * turn}_{y + down * turn}"
                again = client.get(f"/plane/texture:3/{level}/{place}.png")
                np.testing.assert_array_equal(pixels(again.content), once)
        other = pixels(client.get("/plane/texture:4/0/0_0.png").content)
        assert (other != pixels(client.get("/plane/texture:3/0/0_0.png").content)).any()


def test_the_plane_goes_on(client: TestClient) -> None:
    expected = render(tiny_creps(), seed=3, size=256, window=(-0.5, 1.0, -0.25, 1.25))
    answer = client.get("/plane/tiny:3/2/4_-2.png")
    assert np.abs(pixels(answer.content).astype(int) - expected).max() <= 1
    assert client.get("/plane/tiny:3/0/999_0.jpg").status_code == 200
    assert client.get("/plane/tiny:3/0/1000_0.jpg").status_code == 400
    assert client.get("/plane/tiny:3/38/0_0.jpg").status_code == 200
    assert client.get("/plane/tiny:3/40/900719925474099_0.jpg").status_code == 400
    assert client.get("/plane/tiny:3/41/0_0.jpg").status_code == 400


def test_all_ways_to_one_place_meet(client: TestClient) -> None:
    """The left upper quarter, as a IIIF region, a view, and Deep Zoom tiles."""
    region = pixels(client.get("/iiif/tiny:3/0,0,256,256/128,128/0/default.png").content)
    view = client.get("/view/tiny:3?window=0,0,0.5,0.5&height=128&width=128&format=png")
    assert np.array_equal(region, pixels(view.content))
    tile = pixels(client.get("/dzi/tiny:3_files/8/0_0.png").content)
    assert tile.shape == (255, 255, 3)
    assert np.abs(tile[:128, :128].astype(int) - region).max() <= 1
    corner = pixels(client.get("/dzi/tiny:3_files/8/1_1.png").content)
    assert corner.shape == (3, 3, 3)
    assert np.abs(corner[:2, :2].astype(int) - tile[-2:, -2:]).max() <= 1  # the seam is shared


def test_deep_zoom_levels(client: TestClient) -> None:
    description = client.get("/dzi/tiny:3.dzi").text
    assert 'Width="512" Height="512"' in description
    assert 'TileSize="254"' in description
    assert pixels(client.get("/dzi/tiny:3_files/0/0_0.png").content).shape == (1, 1, 3)
    for nonsense in ("10/0_0.jpg", "8/2_0.jpg", "8/-1_0.jpg", "8/0_0.tif", "x/0_0.jpg"):
        assert client.get(f"/dzi/tiny:3_files/{nonsense}").status_code == 400


def test_an_image_document_and_the_way_to_it(client: TestClient) -> None:
    redirect = client.get("/iiif/tiny:03;t=0.7")
    assert redirect.status_code == 303
    assert redirect.headers["location"].endswith("/iiif/tiny:3%3Bt=0.7/info.json")
    answer = client.get(redirect.headers["location"], headers={"Origin": "http://elsewhere"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    assert document["id"] == "http://testserver/iiif/tiny:3%3Bt=0.7"
    assert (document["width"], document["profile"]) == (SIDE, "level2")
    linked = client.get("/iiif/tiny:3/info.json", headers={"Accept": "application/ld+json"})
    assert linked.headers["content-type"].startswith("application/ld+json;profile=")


def test_a_manifest_leads_to_the_picture(client: TestClient) -> None:
    document = client.get("/iiif/tiny:3;w=0,0,1,2/manifest.json").json()
    assert document["@context"].endswith("/presentation/3/context.json")
    (canvas,) = document["items"]
    assert (canvas["width"], canvas["height"]) == (SIDE, SIDE // 2)
    (page,) = canvas["items"]
    (annotation,) = page["items"]
    assert annotation["target"] == canvas["id"]
    image = annotation["body"]
    for address in (image["id"], document["thumbnail"][0]["id"], document["id"]):
        assert client.get(address).status_code == 200
    assert client.get(image["service"][0]["id"] + "/info.json").json()["width"] == SIDE


def test_pictures_of_other_shapes(client: TestClient) -> None:
    wide = client.get("/iiif/tiny:3;w=0,-0.5,1,1.5/info.json").json()
    assert (wide["width"], wide["height"]) == (SIDE, SIDE // 2)
    tall = client.get("/iiif/tiny:3;w=0,0,1,0.5/max/128,/0/default.png")
    assert tall.status_code == 400  # "max" is no region
    picture = pixels(client.get("/iiif/tiny:3;w=0,0,1,0.5/full/32,/0/default.png").content)
    assert picture.shape == (64, 32, 3)


def test_canonical_links(client: TestClient) -> None:
    answer = client.get("/iiif/tiny:03/0,0,512,512/64,/360/color.jpg")
    canonical, profile = answer.headers["link"].split(",<")
    assert canonical == '<http://testserver/iiif/tiny:3/full/64,64/0/default.jpg>;rel="canonical"'
    assert profile.endswith('level2.json>;rel="profile"')


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_what_it_says(kind: str, client: TestClient) -> None:
    answer = client.get(f"/iiif/tiny:3/full/40,/0/default.{kind}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == ENCODINGS[kind].media_type
    beginnings = {
        "jpg": b"\xff\xd8\xff",
        "png": b"\x89PNG",
        "webp": b"RIFF",
        "tif": b"II*\x00",
        "gif": b"GIF8",
        "jp2": b"\x00\x00\x00\x0cjP  ",
        "pdf": b"%PDF",
    }
    assert answer.content.startswith(beginnings[kind])
    turned = client.get(f"/iiif/gray:3/full/40,/30/bitonal.{kind}")
    assert turned.status_code == 200


@pytest.mark.parametrize("model", ["tiny", "gray"])
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_corners_of_turned_pictures(model: str, kind: str, client: TestClient) -> None:
    answer = client.get(f"/iiif/{model}:3/full/40,/45/default.{kind}")
    image = Image.open(BytesIO(answer.content)).convert("RGBA")
    assert image.size == (57, 57)
    red, green, blue, opacity = image.getpixel((0, 0))
    if kind == "png":
        assert opacity == 0
    else:
        assert min(red, green, blue) > 250
    assert image.getpixel((28, 28))[3] == 255


def test_qualities() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    gray = pixels(encoded(ramp, None, quality="gray", kind="png", about={}))
    assert np.array_equal(gray, ramp[..., 0])
    bitonal = pixels(encoded(ramp, None, quality="bitonal", kind="png", about={}))
    assert set(np.unique(bitonal)) == {0, 255}
    assert (bitonal == 255).sum() == 128


@pytest.mark.parametrize("kind", sorted(ENCODINGS))
@pytest.mark.parametrize("beside", [None, 128])
def test_a_model_with_opacity_is_served_in_every_format(kind: str, beside: int | None) -> None:
    picture = np.full((16, 16, 4), 100, np.uint8)
    picture[8:, :, 3] = 0
    picture[:8, :, 3] = 255
    around = None if beside is None else np.full((16, 16), beside, np.uint8)
    answer = encoded(picture, around, quality="default", kind=kind, about={})
    if kind == "pdf":
        assert answer.startswith(b"%PDF")
        return
    with Image.open(BytesIO(answer)) as image:
        red, *_, upper = image.convert("RGBA").getpixel((4, 2))
        *colors, lower = image.convert("RGBA").getpixel((4, 13))
    if ENCODINGS[kind].transparent:
        assert abs(upper - (255 if beside is None else beside)) <= 4
        assert lower <= 4
    else:
        assert abs(red - (100 if beside is None else 177)) <= 8
        assert min(colors) > 250


def test_the_share_of_evaluated_pixels_is_told_of_kept_answers_too(tmp_path: Path) -> None:
    with in_memory({"tiny": tiny_creps()}, cache=tmp_path) as client:
        deep = "/plane/tiny:3/20/1_1.jpg"
        answers = [client.get(deep) for _ in range(2)]
        assert list(tmp_path.rglob("*.answer"))
        assert answers[0].content == answers[1].content
        shares = [float(answer.headers["Creps-Evaluated"]) for answer in answers]
        assert shares[0] == shares[1]
        assert 0 < shares[0] < 0.3
        whole = client.get("/view/tiny:3?height=8&width=8")
        assert float(whole.headers["Creps-Evaluated"]) == 1
        enlarged = client.get("/plane/tiny:3;by=lanczos/1/0_0.png")
        assert "Creps-Evaluated" not in enlarged.headers


def test_equal_etags_are_equal_bytes(client: TestClient) -> None:
    """A pin, or a window that is not looked at, changes neither; the file tells neither."""
    pin = client.get("/api/models").json()["models"][0]["pin"]
    names = ("tiny:3", f"tiny@{pin}:3", "tiny:3%3Bw=0,0,2,2")
    answers = [client.get(f"/plane/{name}/0/1_0.png") for name in names]
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert len({answer.content for answer in answers}) == 1


def test_what_a_client_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/plane/tiny:3/0/0_0.jpg")
    assert "immutable" not in first.headers["cache-control"]
    again = client.get("/plane/tiny:3/0/0_0.jpg", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = client.get("/plane/tiny:4/0/0_0.jpg", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_the_pin_of_other_code_is_not_found(client: TestClient) -> None:
    answer = client.get("/plane/tiny@00000000:3/0/0_0.jpg")
    assert answer.status_code == 404
    assert "this server draws tiny@" in answer.json()["error"]


def test_addresses_with_a_pin_are_for_ever(client: TestClient) -> None:
    pinned = client.get("/api/pictures/tiny:3;t=0.5").json()["pinned"]
    answer = client.get(f"/plane/{pinned}/0/0_0.jpg")
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/plane/tiny@00000000:3/0/0_0.jpg").status_code == 404


def test_answers_are_kept_on_disk(client: TestClient) -> None:
    address = "/plane/tiny:77/1/0_0.png"

    def hits() -> float:
        lines = client.get("/metrics").text.splitlines()
        found = [
            line for line in lines if line.startswith('creps_cache_lookups_total{found="true"')
        ]
        return float(found[0].split()[-1]) if found else 0.0

    first, before = client.get(address).content, hits()
    assert client.get(address).content == first
    assert hits() == before + 1


def test_classes_and_layers_must_be_there(client: TestClient) -> None:
    for fine in ("kinds:3;c=2", "drawn:3", "drawn:3;c=2"):
        assert client.get(f"/plane/{fine}/0/0_0.jpg").status_code == 200, fine
    impossible = ("kinds:3", "kinds:3;c=3", "drawn:3;c=3", "tiny:3;c=0", "tiny:3+4:99")
    for nonsense in (*impossible, "tiny:4294967296"):
        answer = client.get(f"/plane/{nonsense}/0/0_0.jpg")
        assert answer.status_code == 400, nonsense
        assert answer.json()["error"]


def test_an_enlargement_beside_the_picture(client: TestClient) -> None:
    native = client.get("/view/tiny:3?height=16&width=16&format=png")
    enlarged = client.get("/plane/tiny:3;by=nearest/0/0_0.png")
    assert np.array_equal(
        pixels(enlarged.content), pixels(native.content).repeat(16, axis=0).repeat(16, axis=1)
    )


@pytest.mark.parametrize(
    "query",
    [
        "window=1,0,0,1",
        "window=0,0,1",
        "window=0,0,nan,1",
        "height=0",
        "height=4096&width=4096",
        "rotation=x",
        "format=gif",
        "color=red",
    ],
)
def test_views_that_make_no_sense(query: str, client: TestClient) -> None:
    answer = client.get(f"/view/tiny:3?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_views_to_keep_have_a_name(client: TestClient) -> None:
    answer = client.get("/view/tiny:3..4@0.5?height=20&width=30&download=1&rotation=390")
    assert answer.headers["content-disposition"] == 'attachment; filename="tiny-3..4_0.5-30x20.jpg"'
    assert pixels(answer.content).shape == (20, 30, 3)


def test_nothing_of_the_file_system_is_to_be_had(client: TestClient) -> None:
    for name in (
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/%2e%2e/pyproject.toml",
        "/etc/passwd",
        "app.py",
    ):
        for room in ("/static/", "/dzi/", "/iiif/", "/api/jobs/", "/"):
            answer = client.get(room + name)
            assert answer.status_code in (400, 404), room + name
            assert b"creps.serving" not in answer.content


def test_the_pages_files_are_sent_with_their_types(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("<h1>creps</h1>")
    (tmp_path / "js" / "app.js").write_text("1")
    (tmp_path / "secret.key").write_text("2")
    monkeypatch.setattr(pages, "static_folder", lambda: tmp_path)
    with in_memory({"tiny": tiny_creps()}) as client:
        page = client.get("/")
        assert page.text == "<h1>creps</h1>"
        assert "default-src 'self'" in page.headers["content-security-policy"]
        script = client.get("/static/js/app.js")
        assert script.headers["content-type"].startswith("text/javascript")
        same = client.get("/static/js/app.js", headers={"If-None-Match": script.headers["etag"]})
        assert same.status_code == 304
        assert client.get("/static/secret.key").status_code == 404


def test_unknown_addresses_and_methods(client: TestClient) -> None:
    assert client.get("/nothing/here").json()["error"]
    assert client.post("/api/models").status_code == 405
    assert client.get("/iiif/nobody:3/info.json").status_code == 404
    assert client.get("/iiif/tiny:3/" + "x" * 5000).status_code == 414
    preflight = client.options("/iiif/tiny:3/info.json")
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert client.post("/api/jobs", content=b"x" * 20_000).status_code == 413


def test_a_made_up_host_does_not_get_into_documents() -> None:
    with in_memory({"tiny": tiny_creps()}, url="https://example.org/creps/") as behind:
        document = behind.get("/iiif/tiny:3/info.json").json()
        assert document["id"] == "https://example.org/creps/iiif/tiny:3"
    app = build_app({"tiny": tiny_creps()}, settings=ServeSettings(hosts=("*",)))
    with TestClient(app) as anybody:
        answer = anybody.get("/iiif/tiny:3/info.json", headers={"Host": 'evil"><script>'})
        assert "evil" not in answer.text
        assert answer.json()["id"] == "http://testserver:80/iiif/tiny:3"


def test_a_token_keeps_others_out() -> None:
    with in_memory({"tiny": tiny_creps()}, token="long-secret") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/api/models").status_code == 401
        assert client.get("/api/models?token=wrong").status_code == 401
        assert client.get("/api/models?token=long-secret").status_code == 200
        assert client.get("/plane/tiny:3/0/0_0.jpg").status_code == 401
        bearer = {"Authorization": "Bearer long-secret"}
        assert client.get("/metrics", headers=bearer).status_code == 200
        entry = client.get("/?token=long-secret")
        assert entry.status_code == 303
        assert "HttpOnly" in entry.headers["set-cookie"]
        assert client.get("/api/models").status_code == 200  # by the cookie


def test_people_without_the_token_are_asked_for_it() -> None:
    with in_memory({"tiny": tiny_creps()}, token="long-secret") as client:
        login = client.get("/", headers={"Accept": "text/html,*/*"})
        assert login.status_code == 401
        assert login.headers["content-type"].startswith("text/html")
        assert '<form method="post"' in login.text
        assert 'name="token"' in login.text
        assert "tiny" not in login.text
        told = '<p role="alert">That is not the token'
        assert told not in login.text
        assert told in client.get("/?token=wrong", headers={"Accept": "text/html"}).text
        assert client.get("/").json()["error"]  # to programs, as everywhere


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/health").json()["status"] == "ok"
    client.get("/plane/tiny:3/0/0_0.jpg")
    text = client.get("/metrics").text
    for name in ("creps_requests_total", "creps_draw_seconds_bucket", "creps_prepared_bytes"):
        assert name in text
    assert 'kind="plane",status="200"' in text


def slowed(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Semaphore]:
    """A server that cannot finish until the event is set; the semaphore counts what has begun."""
    gate, begun = threading.Event(), threading.Semaphore(0)

    def slow(*picture: Any, **words: Any) -> bytes:
        begun.release()
        gate.wait(PATIENCE)
        return encoded(*picture, **words)

    monkeypatch.setattr("creps.serving._service.encoded", slow)
    return gate, begun


def test_too_much_at_once_is_sent_away_with_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = slowed(monkeypatch)
    limits = Limits(waiting=1)
    with in_memory({"tiny": tiny_creps()}, limits=limits) as client:
        answers: dict[int, object] = {}

        def ask(k: int) -> None:
            answers[k] = client.get(f"/view/tiny:{k}?height=8&width=8")

        threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
        for thread in threads[:2]:
            thread.start()
            assert begun.acquire(timeout=PATIENCE)
        for thread in threads[2:]:
            thread.start()
        while sum(thread.is_alive() for thread in threads) > 3:  # two draw, one waits
            threads[0].join(0.01)
        gate.set()
        for thread in threads:
            thread.join()
    states = sorted(answer.status_code for answer in answers.values())
    assert states == [200, 200, 200, 503, 503, 503]
    refused = next(answer for answer in answers.values() if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1


def test_a_request_whose_client_has_left_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = slowed(monkeypatch)
    settings = ServeSettings(workers=1)
    app = build_app({"tiny": tiny_creps()}, settings=settings)
    with on_loopback(app, settings) as port:

        def ask(seed: int) -> socket.socket:
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(f"GET /view/tiny:{seed} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            return client

        def waiting() -> int:
            with urlopen(f"http://127.0.0.1:{port}/health") as answer:
                count: int = json.load(answer)["waiting"]
                return count

        with ask(1):
            assert begun.acquire(timeout=PATIENCE)
            left = ask(2)
            wait_until(lambda: waiting() == 1)
            left.close()
            wait_until(lambda: waiting() == 0)
            gate.set()


def test_a_failure_is_an_answer_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(pool: Pool, parts: object) -> None:
        raise RuntimeError("a bug with a secret")

    with in_memory({"tiny": tiny_creps()}) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Pool, "side_by_side", broken)
            answer = client.get("/plane/tiny:3/0/0_0.jpg")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert "a bug with a secret" in caplog.text
        assert client.get("/plane/tiny:3/0/0_0.jpg").status_code == 200


def test_pictures_not_looked_at_are_let_go() -> None:
    settings = ServeSettings(limits=Limits(pictures=1))
    registry = ModelRegistry({"tiny": tiny_creps()}, settings=settings)
    for seed in range(5):
        registry.source(parse_identifier(f"tiny:{seed}"))
        registry.settle()
    assert len(registry) == 1
    assert registry.nbytes > 0
    newest = registry.source(parse_identifier("tiny:4;w=0,0,1,2"))  # the window is no other picture
    assert newest is registry.source(parse_identifier("tiny:4"))


def test_a_picture_is_prepared_once_for_all_who_ask() -> None:
    registry = ModelRegistry({"tiny": tiny_creps()}, settings=ServeSettings())
    picture = parse_identifier("tiny:3")
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(registry.source(picture))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    "changes",
    [{"size": 0}, {"workers": 0}, {"token": "short"}, {"url": "example.org"}],
    ids=json.dumps,
)
def test_settings_that_make_no_sense(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ServeSettings(**changes)


def test_names_that_no_address_can_have() -> None:
    for models in ({}, {"a/b": tiny_creps()}):
        with pytest.raises(ConfigError):
            ModelRegistry(models, settings=ServeSettings())
    with pytest.raises(ConfigError, match="waiting"):
        Limits(waiting=0)
