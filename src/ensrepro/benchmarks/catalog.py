"""The benchmarks of the paper (section 4, tables 1 to 4) and the training set of deraining.

Numbers of images and sizes are those of the sets as released; a size is given only where all images
have it. The first layout of each is the one that the scripts released with Restormer expect, the
others are the original archives'. What no name can pair is not guessed: see `hint`.
"""

from __future__ import annotations

from types import MappingProxyType

from ensrepro.benchmarks.layouts import TARGET, Benchmark, Inference, Layout, Listing, View
from ensrepro.config import named

PAIRED = (View("input", "input/{name}"), View(TARGET, "target/{name}"))
GOPRO_BASES = ("", "test", "GOPRO_Large/test")
DPDD_LISTS = Listing(("test_src.npy", "test_trg.npy"), ("{name}", "{shot}"), ("", "file_names"))
GAMMA_HINT = "the other blur is read only if asked for: --layout original-blur_gamma"
DPDD_HINT = (
    "where names differ, put test_src.npy and test_trg.npy of DPDNet's code beside the folders"
)

# role, where the released scripts keep it, where the authors' archive does
CENTER = (("input", "inputC/{name}", "test_c/source/{name}"),)
SIDES = (
    ("left", "inputL/{name}[_L]", "test_l/source/{name}[_L]"),
    ("right", "inputR/{name}[_R]", "test_r/source/{name}[_R]"),
)


def below(name: str, split: str = "test") -> tuple[str, ...]:
    """Where the released scripts keep a set: ROOT may be any folder on the way to it."""
    return ("", name, f"{split}/{name}", f"Datasets/{split}/{name}")


def released(name: str, split: str = "test") -> Layout:
    """The folders input and target with equal names."""
    return Layout("released", below(name, split), PAIRED)


def gopro() -> tuple[Layout, ...]:
    """GOPRO_Large: a folder for each sequence, and in it one for each kind of frame.

    The set's authors used `blur_gamma`. Published numbers are of `blur`: the re-hosted set, which
    MPRNet's and Restormer's tables are of, was made from it, as MPRNet's authors state.
    """
    linear, gamma = (
        (View("input", "{sequence}/" + blur + "/{frame}"), View(TARGET, "{sequence}/sharp/{frame}"))
        for blur in ("blur", "blur_gamma")
    )
    return (
        Layout("original-blur", GOPRO_BASES, linear, hint=GAMMA_HINT),
        Layout("original-blur_gamma", GOPRO_BASES, gamma, on_request=True),
    )


def realblur(folder: str, listed: str) -> Layout:
    """RealBlur: training and test scenes lie together, the list tells which is which."""
    views = (
        View("input", folder + "/{scene}/blur/blur_{n}", spare=True),
        View(TARGET, folder + "/{scene}/gt/gt_{m}", spare=True),
    )
    listing = Listing((listed,), ("{scene}/gt/gt_{m}", "{scene}/blur/blur_{n}"))
    return Layout("original", ("", "RealBlur"), views, listing)


def dpdd(inputs: tuple[tuple[str, str, str], ...]) -> tuple[Layout, ...]:
    """DPDD: under equal names, or under the camera's, by which input and target differ."""
    bases = below("DPDD")
    original = ("", "dd_dp_dataset_png", "dd_dp_dataset_canon")
    ours = tuple(View(role, pattern) for role, pattern, _ in inputs)
    theirs = tuple(View(role, pattern) for role, _, pattern in inputs)
    shot = View(TARGET, "test_c/target/{shot}")
    return (
        Layout("released", bases, (*ours, View(TARGET, "target/{name}")), hint=DPDD_HINT),
        Layout(
            "released-camera", bases, (*ours, View(TARGET, "target/{shot}")), DPDD_LISTS, DPDD_HINT
        ),
        Layout("original", original, (*theirs, shot), DPDD_LISTS, DPDD_HINT),
    )


def rain100(name: str, folder: str) -> tuple[Layout, ...]:
    """Rain100H, Rain100L: released, in two folders with equal names, or all in one folder.

    Names, numbers and sizes of the two sets are the same, so a base is never that of the other.
    """
    bases = ("", folder, name)
    folders = (View("input", "rain/{name}"), View(TARGET, "norain/{name}"))
    flat = (View("input", "rain-{n}"), View(TARGET, "norain-{n}"))
    return (
        released(name),
        Layout("original", bases, folders),
        Layout("original-flat", bases, flat),
    )


SENSENOISE_BASES = ("", "final_datasetv4_png", "sensenoise/final_datasetv4_png")
SIDD_VIEWS = (
    View("input", "ValidationNoisyBlocksSrgb", (".mat",)),
    View(TARGET, "ValidationGtBlocksSrgb", (".mat",)),
)

_BENCHMARKS = (
    Benchmark(
        name="gopro",
        title="GoPro",
        task="deblur",
        protocol="matlab_rgb",
        layouts=(released("GoPro"), *gopro()),
        n_images=1111,
        size=(720, 1280),
        note="published numbers are of the archive's blur, not of its blur_gamma",
    ),
    Benchmark(
        name="hide",
        title="HIDE",
        task="deblur",
        protocol="matlab_rgb",
        layouts=(
            released("HIDE"),
            Layout(
                "original",
                ("", "HIDE_dataset"),
                (View("input", "test/{distance}/{name}"), View(TARGET, "GT/{name}", spare=True)),
            ),
        ),
        n_images=2025,
        size=(720, 1280),
    ),
    Benchmark(
        name="realblur-j",
        title="RealBlur-J",
        task="deblur",
        protocol="realblur",
        layouts=(
            released("RealBlur_J"),
            realblur("RealBlur-J_ECC_IMCORR_centroid_itensity_ref", "RealBlur_J_test_list.txt"),
        ),
        n_images=980,
    ),
    Benchmark(
        name="realblur-r",
        title="RealBlur-R",
        task="deblur",
        protocol="realblur",
        layouts=(
            released("RealBlur_R"),
            realblur(
                "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref", "RealBlur_R_test_list.txt"
            ),
        ),
        n_images=980,
    ),
    Benchmark(
        name="dpdd",
        title="DPDD, single image",
        task="defocus",
        protocol="dpdd",
        layouts=dpdd(CENTER),
        n_images=76,
        size=(1120, 1680),
        file_bits=(8, 16),
        groups=(("indoor", "indoor_labels.npy"), ("outdoor", "outdoor_labels.npy")),
        also=("mae", "lpips"),
        note="16-bit files are cut to 8 bit, as the released script reads them",
    ),
    Benchmark(
        name="dpdd-dual",
        title="DPDD, dual pixel",
        task="defocus_dual",
        protocol="dpdd",
        layouts=dpdd(SIDES),
        n_images=76,
        size=(1120, 1680),
        file_bits=(16,),
        read_bits=16,
        groups=(("indoor", "indoor_labels.npy"), ("outdoor", "outdoor_labels.npy")),
        also=("mae", "lpips"),
    ),
    Benchmark(
        name="sidd",
        title="SIDD",
        task="denoise",
        protocol="sidd",
        layouts=(Layout("released", below("SIDD"), SIDD_VIEWS),),
        n_images=1280,
        size=(256, 256),
        block_shape=(40, 32, 256, 256, 3),
        note="the validation blocks: the benchmark's own targets are not public",
    ),
    Benchmark(
        name="sensenoise",
        title="SenseNoise",
        task="denoise",
        protocol="sensenoise",
        layouts=(
            Layout(
                "original",
                SENSENOISE_BASES,
                (
                    View("input", "noisy/{a}noisy{b}", spare=True),
                    View(TARGET, "gt/{a}gt{b}", spare=True),
                ),
                Listing(("test.txt",), ("{a}gt{b}",)),
            ),
            Layout(
                "original-equal",
                SENSENOISE_BASES,
                (View("input", "noisy/{name}", spare=True), View(TARGET, "gt/{name}", spare=True)),
                Listing(("test.txt",), ("{name}",)),
            ),
        ),
        n_images=None,
        inference=Inference(tile=1024, margin=64),
        note="versions 3 and 4 of the set give different numbers",
    ),
    Benchmark(
        name="rain13k",
        title="Rain13K",
        task="derain",
        protocol="derain_y",
        layouts=(released("Rain13K", "train"),),
        n_images=13712,
        is_training=True,
        note="for training: it is read and checked, never evaluated",
    ),
    Benchmark(
        name="test100",
        title="Test100",
        task="derain",
        protocol="derain_y",
        layouts=(released("Test100"),),
        n_images=98,
        note="98 images in spite of its name",
    ),
    Benchmark(
        name="rain100h",
        title="Rain100H",
        task="derain",
        protocol="derain_y",
        layouts=rain100("Rain100H", "rain_heavy_test"),
        n_images=100,
    ),
    Benchmark(
        name="rain100l",
        title="Rain100L",
        task="derain",
        protocol="derain_y",
        layouts=rain100("Rain100L", "rain_light_test"),
        n_images=100,
        note="a test set here; the recipe released with Restormer validates on it",
    ),
    Benchmark(
        name="test2800",
        title="Test2800",
        task="derain",
        protocol="derain_y",
        layouts=(
            released("Test2800"),
            Layout(
                "original",
                ("", "rainy_image_dataset"),
                (
                    View("input", "testing/rainy_image/{scene}_{n}"),
                    View(TARGET, "testing/ground_truth/{scene}"),
                ),
            ),
        ),
        n_images=2800,
    ),
    Benchmark(
        name="test1200",
        title="Test1200",
        task="derain",
        protocol="derain_y",
        layouts=(released("Test1200"),),
        n_images=1200,
    ),
)
BENCHMARKS = MappingProxyType({benchmark.name: benchmark for benchmark in _BENCHMARKS})

# Table 1 averages these five, each with the same weight.
DERAINING = ("test100", "rain100h", "rain100l", "test2800", "test1200")


def benchmark(name: str) -> Benchmark:
    """The benchmark of this name; a ValueError lists the names."""
    return named("benchmark", name, BENCHMARKS)
