from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from handviz.capture.base import CameraChoice, parse_source
from handviz.capture.calibration import Intrinsics
from handviz.capture.exif import Shot, shot_of
from handviz.capture.open import open_source
from handviz.errors import SourceError
from handviz.geometry.camera import PHOTO_FOV_DEG, project
from handviz.records import Frame
from tests.capture.exif_files import encoded, exif

WIDTH, HEIGHT = 320, 240
K = np.array([[300.0, 0, 140.0], [0, 320.0, 131.0], [0, 0, 1]])
# The tangential terms are larger than any lens's, so that turning them wrongly shows.
BENT = Intrinsics(K=K, size=(WIDTH, HEIGHT), distortion=np.array([-0.3, 0.05, 0.03, -0.05, 0]))
POINT = np.array([[0.3, 0.25, 1.0]])
KINDS = ("jpg", "png", "webp", "tif")


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """From EXIF's table of orientations: where the stored rows and columns begin."""
    rows_up, columns_left = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if orientation >= 5:
        array = array.swapaxes(0, 1)
        rows_up, columns_left = orientation in (7, 8), orientation in (6, 7)
    return array[:: -1 if rows_up else 1, :: -1 if columns_left else 1]


def turned_place(uv: np.ndarray, orientation: int) -> np.ndarray:
    """Where a point of the stored picture is in the upright one."""
    stored = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).astype(float)
    grid = turned(stored, orientation)
    v, u = np.unravel_index(np.abs(grid - np.round(uv)).sum(-1).argmin(), grid.shape[:2])
    return np.array([u, v], float)


def turned_point(point: np.ndarray, orientation: int) -> np.ndarray:
    """The point in the frame of the upright picture's camera."""
    middle = np.array([WIDTH // 2, HEIGHT // 2], float)
    right, down = (
        turned_place(middle + step, orientation) - turned_place(middle, orientation) for step in ([10.0, 0], [0, 10.0])
    )
    return np.array([[*(np.stack([right, down], 1) / 10 @ point[0, :2]), point[0, 2]]])


def with_dot(uv: np.ndarray) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    cv2.circle(picture, [round(float(x)) for x in uv], 3, (255, 255, 255), -1)
    return picture


def read(path: Path, choice: CameraChoice | None = None) -> Frame:
    frame = open_source(parse_source(str(path)), choice).read()
    assert frame is not None
    return frame


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_calibration_is_turned_with_its_picture(tmp_path: Path, kind: str, orientation: int) -> None:
    bent = cv2.projectPoints(POINT, np.zeros(3), np.zeros(3), K, BENT.distortion)[0][0, 0]
    path = tmp_path / f"dot.{kind}"
    path.write_bytes(encoded(kind, with_dot(bent), exif(orientation)))
    frame = read(path, CameraChoice(calibrated=BENT))
    straight = project(POINT, K)[0]
    assert np.linalg.norm(bent - straight) > 5
    assert frame.camera.size == frame.rgb.shape[1::-1] == ((HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT))
    np.testing.assert_allclose(
        project(turned_point(POINT, orientation), frame.camera.K)[0], turned_place(straight, orientation), atol=0.51
    )
    rows, columns = np.nonzero(frame.rgb[..., 0] > 128)
    np.testing.assert_allclose([columns.mean(), rows.mean()], turned_place(straight, orientation), atol=1.5)


@pytest.mark.parametrize("size", [None, (2 * WIDTH, 2 * HEIGHT)])
def test_a_calibration_without_a_size_or_of_another_is_turned_too(tmp_path: Path, size: tuple[int, int] | None) -> None:
    given = Intrinsics(K=K if size is None else np.diag([2.0, 2, 1]) @ (K + [[0, 0, 0.25], [0, 0, 0.25], [0, 0, 0]]), size=size)
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8), exif(6)))
    expected = [[320.0, 0, HEIGHT - 1 - 131.0], [0, 300.0, 140.0], [0, 0, 1]]
    np.testing.assert_allclose(read(path, CameraChoice(calibrated=given)).camera.K, expected, atol=1e-9)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_of_another_shape_is_named(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "wide.jpg"
    path.write_bytes(encoded("jpg", np.zeros((180, 320, 3), np.uint8), exif(orientation)))
    choice = CameraChoice(calibrated=BENT, path=Path("lens.json"))
    with pytest.raises(SourceError, match=r"lens\.json was calibrated at 320x240, but .*wide\.jpg is 320x180"):
        read(path, choice)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("number", [3, 4])
def test_the_focal_length_of_a_photograph_is_believed(
    tmp_path: Path, kind: str, orientation: int, order: str, number: int
) -> None:
    path = tmp_path / f"photo.{kind}"
    path.write_bytes(encoded(kind, np.zeros((HEIGHT, WIDTH, 3), np.uint8), exif(orientation, 26, order, number)))
    camera = read(path).camera
    # Cropped pictures keep their EXIF.
    assert camera.source == "assumed"
    # A picture of 320 x 240 is 400 pixels from corner to corner, one on film 43.27 mm.
    assert camera.K[0, 0] == camera.K[1, 1] == pytest.approx(26 * 400 / 43.27)
    told = read(path, CameraChoice(fov_deg=70.0)).camera
    assert told.K[0, 0] == pytest.approx(160 / np.tan(np.radians(35)))
    assert read(path, CameraChoice(calibrated=Intrinsics(K=K, size=(WIDTH, HEIGHT)))).camera.source == "calibrated"


@pytest.mark.parametrize("focal", [None, 0, 7, 601])
def test_no_absurd_focal_length_is_believed(tmp_path: Path, focal: int | None) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded("jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8), exif(1, focal)))
    camera = read(path).camera
    assert camera.source == "assumed" and camera.fov_deg == pytest.approx(PHOTO_FOV_DEG)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_exif_tells_nothing_and_the_picture_is_read(tmp_path: Path, kind: str) -> None:
    grey = np.full((8, 16, 3), 90, np.uint8)
    whole = encoded(kind, grey, exif(6, 26))
    assert shot_of(whole).orientation == 6
    for length in range(len(whole)):
        shot_of(whole[:length])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 8)] = rng.integers(0, 256, 8)
        shot = shot_of(data.tobytes())
        assert 1 <= shot.orientation <= 8 and (shot.focal_35mm is None or 8 <= shot.focal_35mm <= 600)
    if kind != "tif":
        path = tmp_path / f"a.{kind}"
        path.write_bytes(encoded(kind, grey, exif(1, 26)[:20]))
        assert read(path).rgb.shape == (8, 16, 3) and read(path).camera.source == "assumed"


def test_an_orientation_that_does_not_exist_is_none() -> None:
    assert shot_of(encoded("jpg", np.zeros((8, 8, 3), np.uint8), exif(9))) == Shot()
