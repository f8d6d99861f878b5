"""Decoding: one function for every picture that comes in."""

import struct
import threading
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from boonart.encoders.pictures import PictureBudget, decode, dominant_colour, fitted, renditions, thumbnail
from boonart.errors import PictureError, PictureTooLarge, TruncatedPicture, UnsupportedPicture
from boonart.works import UInt8Array

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
LOSSY = 6
"""How far a channel may be off after lossy compression or a change of colour space."""
ORIENTATION = 0x0112


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def flag() -> Image.Image:
    """Landscape, its left half red, its right half blue."""
    image = Image.new("RGB", (80, 40), BLUE)
    image.paste(RED, (0, 0, 40, 40))
    return image


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def near(pixel: UInt8Array, colour: tuple[int, int, int], tolerance: int = LOSSY) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= tolerance)


def png_of_claimed_size(width: int, height: int) -> bytes:
    """A PNG of about 100 kB whose header claims any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {"quality": 95, "subsampling": 0}),
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("GIF", {}),
    ("BMP", {}),
    ("AVIF", {"quality": 95}),
    ("JPEG2000", {}),
]


@pytest.mark.parametrize(("form", "options"), FORMATS)
def test_every_format_is_known_by_its_content(form: str, options: dict[str, Any]) -> None:
    picture = decode(saved(flag(), form, **options))
    assert picture.format == form
    assert picture.original_size == (80, 40)
    assert picture.pixels.shape == (40, 80, 3)
    assert picture.pixels.dtype == np.uint8
    assert near(picture.pixels[20, 10], RED)
    assert near(picture.pixels[20, 70], BLUE)


# Where the flag's red half lies after each orientation is undone: a point in it, as (x, y) shares.
RED_AT = {1: (0.2, 0.5), 2: (0.8, 0.5), 3: (0.8, 0.5), 4: (0.2, 0.5)}
RED_AT |= {5: (0.5, 0.2), 6: (0.5, 0.2), 7: (0.5, 0.8), 8: (0.5, 0.8)}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = decode(saved(flag(), form, exif=exif))
    assert picture.original_size == ((80, 40) if orientation < 5 else (40, 80))
    assert (picture.width, picture.height) == picture.original_size
    x, y = RED_AT[orientation]
    assert near(picture.pixels[int(y * picture.height), int(x * picture.width)], RED)
    assert near(picture.pixels[int((1 - y) * picture.height) - 1, int((1 - x) * picture.width) - 1], BLUE)


def test_broken_exif_is_passed_over() -> None:
    assert decode(saved(flag(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")).original_size == (80, 40)


def test_a_colour_profile_is_applied() -> None:
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(flag(), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert image is not None
    image.info.clear()
    picture = decode(saved(image, "TIFF", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes()))
    assert near(picture.pixels[20, 10], RED)


def swapped_profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged, so that applying it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    places = {bytes(profile[132 + 12 * k : 136 + 12 * k]): 136 + 12 * k for k in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    profile[red : red + 8], profile[blue : blue + 8] = profile[blue : blue + 8], profile[red : red + 8]
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return bytes(profile.replace(b"sRGB built-in", b"swap built-in"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_matrix_profile_is_applied(mode: str) -> None:
    picture = decode(saved(flag().convert(mode), "PNG", icc_profile=swapped_profile()))
    assert near(picture.pixels[20, 10], BLUE)


def test_a_broken_or_unfitting_profile_is_passed_over() -> None:
    assert near(decode(saved(flag(), "PNG", icc_profile=b"nonsense")).pixels[20, 10], RED)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert near(decode(saved(flag(), "PNG", icc_profile=lab)).pixels[20, 10], RED)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(mode: str) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0)).convert(mode)
    image.paste(Image.new("RGBA", (40, 20), (0, 0, 0, 255)).convert(mode), (0, 20))
    picture = decode(saved(image, "PNG"))
    assert near(picture.pixels[5, 5], WHITE, 0)
    assert near(picture.pixels[30, 5], (0, 0, 0), 0)


def test_half_transparent_edges_stay_clean_when_reduced() -> None:
    """Transparent pixels have a colour too; it must not bleed into the picture."""
    image = Image.new("RGBA", (400, 400), (0, 255, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 400, 200))
    assert decode(saved(image, "PNG"), max_side=50).pixels.min() >= 254


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = flag().quantize(4)
    picture = decode(saved(image, "PNG", transparency=image.getpixel((0, 0))))
    assert near(picture.pixels[20, 10], WHITE, 0)
    assert near(picture.pixels[20, 70], BLUE)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(form: str) -> None:
    picture = decode(saved(Image.fromarray(np.full((8, 8), 0x8000, np.uint16)), form))
    assert near(picture.pixels[4, 4], (128, 128, 128), 1)


def test_floating_point_values_become_eight_bits() -> None:
    picture = decode(saved(Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF"))
    assert near(picture.pixels[4, 4], (128, 128, 128), 1)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = Image.new("RGB", (40, 40), "white").convert(mode)
    assert near(decode(saved(image, "TIFF")).pixels[20, 20], WHITE)


@pytest.mark.parametrize("mode", ["1", "P"])
def test_line_drawings_are_averaged_not_picked_when_reduced(mode: str) -> None:
    lines = np.zeros((400, 400), np.uint8)
    lines[:, ::4] = 255
    image = Image.fromarray(lines).convert(mode)
    picture = decode(saved(image, "PNG"), max_side=50)
    assert abs(float(picture.pixels[10:-10, 10:-10].mean()) - 255 / 4) < 5


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    first, second = Image.new("RGB", (40, 40), RED), Image.new("RGB", (40, 40), BLUE)
    picture = decode(saved(first, form, save_all=True, append_images=[second]))
    assert near(picture.pixels[20, 20], RED)


# --- what is not a picture -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "meaning"),
    [
        (b"", "an empty file"),
        (b"A cow in a room.\nOil on canvas.", "a text file, which begins with 'A cow in a room. Oil on canvas.'"),
        ("Pâturage à l'été, ".encode() * 500, "a text file"),
        (b"BMW makes cars, and this is a text file.", "a text file"),
        (b"GIF8 is a format", "a text file"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript document"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"PK\x03\x04\x00\x00", "a zip archive"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC picture"),
        (bytes(range(256)), "binary data of an unknown kind"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data: bytes, meaning: str) -> None:
    with pytest.raises(UnsupportedPicture) as error:
        decode(data)
    assert meaning in error.value.message
    assert "JPEG" in error.value.hint


def test_postscript_is_never_run() -> None:
    """Pillow reads EPS through an outside program; it is not among our formats."""
    with pytest.raises(UnsupportedPicture, match="PostScript"):
        decode(saved(flag(), "EPS"))


@pytest.mark.parametrize(("form", "options"), FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_ends_too_early_is_refused(form: str, options: dict[str, Any], share: float) -> None:
    data = saved(noise(200, 200), form, **options)
    with pytest.raises(TruncatedPicture, match="damaged or cut off"):
        decode(data[: int(share * len(data))])


@pytest.mark.parametrize(("form", "options"), FORMATS)
def test_damaged_bytes_never_raise_anything_else(form: str, options: dict[str, Any]) -> None:
    """Whatever strangers send, the caller sees a picture or a picture error."""
    data = saved(noise(60, 60), form, **options)
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(0, min(len(data), 400), 6):
            damaged[place] = int(random.integers(256))
        try:
            decode(bytes(damaged), budget=PictureBudget(pixels=10_000_000))
        except PictureError:
            refused += 1
    assert refused > 0


# --- budgets ---------------------------------------------------------------------------------------------


def test_a_decompression_bomb_is_refused_from_its_header() -> None:
    data = png_of_claimed_size(30_000, 30_000)
    assert len(data) < 110_000
    with pytest.raises(PictureTooLarge, match=r"30,000 x 30,000 pixels; a PNG file like this may have 120 million"):
        decode(data)


def test_a_bomb_is_refused_without_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise AssertionError("decoded")

    data = png_of_claimed_size(30_000, 30_000)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    with pytest.raises(PictureTooLarge):
        decode(data)


def test_a_file_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(PictureTooLarge, match="MB"):
        decode(saved(flag(), "PNG"), budget=PictureBudget(file_bytes=10))


SMALL = PictureBudget(pixels=100_000, reducible_pixels=4_000_000)


def test_a_large_jpeg_is_reduced_while_it_is_decoded() -> None:
    picture = decode(saved(noise(1600, 1200), "JPEG"), budget=SMALL, max_side=200)
    assert picture.original_size == (1600, 1200)
    assert (picture.width, picture.height) == (200, 150)


def test_a_jpeg_over_even_the_larger_budget_is_refused() -> None:
    with pytest.raises(PictureTooLarge, match="JPEG"):
        decode(saved(noise(2100, 2000), "JPEG"), budget=SMALL, max_side=200)


def test_a_long_narrow_jpeg_is_reduced_too() -> None:
    picture = decode(saved(noise(4000, 300), "JPEG"), budget=SMALL, max_side=500)
    assert picture.width == 500


def test_a_progressive_jpeg_has_the_smaller_budget() -> None:
    """Its coefficients are all held in memory, however far it is reduced."""
    with pytest.raises(PictureTooLarge):
        decode(saved(noise(1600, 1200), "JPEG", progressive=True), budget=SMALL, max_side=200)


def test_a_jpeg_with_a_scan_for_each_colour_has_the_smaller_budget() -> None:
    data = saved(noise(1600, 1200), "JPEG")
    scan = data.index(b"\xff\xda")
    one_colour_a_scan = data[: scan + 4] + b"\x01" + data[scan + 5 :]
    with pytest.raises(PictureTooLarge):
        decode(one_colour_a_scan, budget=SMALL, max_side=200)


@pytest.mark.parametrize("resolutions", [1, 2, 3, 6])
def test_a_jpeg_2000_is_reduced_as_far_as_it_can_be(resolutions: int) -> None:
    picture = decode(saved(noise(1000, 600), "JPEG2000", num_resolutions=resolutions), max_side=100)
    assert (picture.width, picture.height) == (100, 60)
    assert picture.original_size == (1000, 600)


def test_a_jpeg_2000_that_cannot_be_reduced_has_the_smaller_budget() -> None:
    large = noise(1000, 600)
    assert decode(saved(large, "JPEG2000", num_resolutions=4), budget=SMALL, max_side=100).width == 100
    with pytest.raises(PictureTooLarge):
        decode(saved(large, "JPEG2000", num_resolutions=1), budget=SMALL, max_side=100)


def pyramid() -> bytes:
    """A museum's TIFF: the scan, and reduced forms of it as further pages, here in colours that tell them apart."""
    pages = [Image.new("RGB", size, colour) for size, colour in (((800, 400), RED), ((400, 200), BLUE))]
    pages.append(Image.new("RGB", (100, 50), WHITE))
    for page in pages[1:]:
        page.encoderinfo = {"tiffinfo": {254: 1}}
    return saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def test_a_pyramid_gives_its_smallest_page_that_is_large_enough() -> None:
    picture = decode(pyramid(), budget=SMALL, max_side=150)
    assert picture.original_size == (800, 400)
    assert (picture.width, picture.height) == (150, 75)
    assert near(picture.pixels[30, 30], BLUE)
    assert near(decode(pyramid(), max_side=800).pixels[30, 30], RED)


def test_further_pages_that_are_other_pictures_are_not_taken() -> None:
    pages = [Image.new("RGB", (800, 400), RED), Image.new("RGB", (400, 200), BLUE)]
    picture = decode(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), max_side=150)
    assert near(picture.pixels[30, 30], RED)


# --- manners ---------------------------------------------------------------------------------------------


def test_pillows_warnings_do_not_leak() -> None:
    broken = saved(flag().quantize(4), "PNG", transparency=b"\x00\x80\xff")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode(broken)
        decode(saved(flag(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\x00"))
    assert [str(warning.message) for warning in seen] == []


def test_threads_decode_side_by_side() -> None:
    data = [saved(noise(300, 200), form) for form in ("PNG", "JPEG", "WEBP")]
    expected = [decode(one).pixels for one in data]
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(12):
            which = (number + turn) % 3
            if not np.array_equal(decode(data[which]).pixels, expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- renditions ------------------------------------------------------------------------------------------


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("form", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_plain_original_is_shown_as_it_is(form: str, media_type: str) -> None:
    data = saved(noise(900, 600), form)
    forms = renditions(data, decode(data))
    assert forms.display == data
    assert forms.display_media_type == media_type
    assert opened(forms.thumbnail).format == "WEBP"
    assert opened(forms.thumbnail).size == (672, 448)


def test_a_large_original_is_shown_smaller() -> None:
    data = saved(noise(2400, 1200), "JPEG")
    forms = renditions(data, decode(data))
    assert opened(forms.display).size == (1600, 800)
    assert opened(forms.thumbnail).size == (800, 400)


@pytest.mark.parametrize(
    ("size", "height", "expected"),
    [
        ((900, 600), 320, (480, 320)),
        ((600, 900), 160, (107, 160)),
        ((1600, 200), 160, (480, 60)),
        ((90, 60), 640, (90, 60)),
        ((1, 900), 160, (1, 160)),
    ],
)
def test_a_thumbnail_is_as_high_as_asked_and_never_enlarged(
    size: tuple[int, int], height: int, expected: tuple[int, int]
) -> None:
    data, media_type = thumbnail(saved(noise(*size), "JPEG"), height)
    assert (opened(data).format, media_type) == ("WEBP", "image/webp")
    assert opened(data).size == fitted(size, (3 * height, height)) == expected


def turned() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return saved(noise(900, 600), "JPEG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        turned(),
        saved(noise(90, 60), "TIFF"),
        saved(noise(90, 60), "JPEG", comment=b"x" * 50_000),
        saved(noise(90, 60).convert("CMYK"), "JPEG"),
        saved(noise(90, 60), "PNG", icc_profile=swapped_profile()),
        saved(noise(90, 60), "PNG", save_all=True, append_images=[flag().resize((90, 60))]),
    ],
    ids=["turned", "no web format", "much metadata", "cmyk", "profile", "animated"],
)
def test_an_original_that_browsers_would_show_otherwise_is_written_anew(data: bytes) -> None:
    picture = decode(data)
    forms = renditions(data, picture)
    assert forms.display != data
    shown = opened(forms.display)
    assert shown.size == picture.original_size
    assert shown.mode == "RGB"
    assert not shown.getexif()


@pytest.mark.parametrize(("colour", "name"), [(RED, "#ff0000"), (BLUE, "#0000ff")])
def test_the_dominant_colour_is_the_commonest(colour: tuple[int, int, int], name: str) -> None:
    image = Image.new("RGB", (64, 64), colour)
    image.paste((10, 200, 10), (0, 0, 20, 20))
    found = dominant_colour(decode(saved(image, "PNG")))
    assert near(np.array([int(found[k : k + 2], 16) for k in (1, 3, 5)], np.uint8), colour, 8), (found, name)
