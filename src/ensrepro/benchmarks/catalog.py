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
RAIN100_BASES = ("", "rain_heavy_test", "rain_light_test")
DPDD_LISTS = Listing(("test_src.npy", "test_trg.npy"), ("{name}", "{shot}"), ("", "file_names"))
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


def gopro(blur: str) -> Layout:
    """GOPRO_Large: a folder for each sequence, and in it one for each kind of frame."""
    views = (
        View("input", "{sequence}/" + blur + "/{frame}"),
        View(TARGET, "{sequence}/sharp/{frame}"),
    )
    return Layout(f"original-{blur}", GOPRO_BASES, views)


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


def rain100(name: str) -> tuple[Layout, ...]:
    """Rain100H, Rain100L: released, in two folders with equal names, or all in one folder."""
    bases = (*RAIN100_BASES, name)
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
        *("gopro", "GoPro", "deblur", "matlab_rgb"),
        layouts=(released("GoPro"), gopro("blur"), gopro("blur_gamma")),
        n_images=1111,
        size=(720, 1280),
        note="the archive holds two versions of the blur, linear and gamma; ask for one by layout",
    ),
    Benchmark(
        *("hide", "HIDE", "deblur", "matlab_rgb"),
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
        *("realblur-j", "RealBlur-J", "deblur", "realblur"),
        layouts=(
            released("RealBlur_J"),
            realblur("RealBlur-J_ECC_IMCORR_centroid_itensity_ref", "RealBlur_J_test_list.txt"),
        ),
        n_images=980,
    ),
    Benchmark(
        *("realblur-r", "RealBlur-R", "deblur", "realblur"),
        layouts=(
            released("RealBlur_R"),
            realblur(
                "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref", "RealBlur_R_test_list.txt"
            ),
        ),
        n_images=980,
    ),
    Benchmark(
        *("dpdd", "DPDD, single image", "defocus", "dpdd"),
        layouts=dpdd(CENTER),
        n_images=76,
        size=(1120, 1680),
        file_bits=(8, 16),
        groups=(("indoor", "indoor_labels.npy"), ("outdoor", "outdoor_labels.npy")),
        also=("mae", "lpips"),
        note="16-bit files are cut to 8 bit, as the released script reads them",
    ),
    Benchmark(
        *("dpdd-dual", "DPDD, dual pixel", "defocus_dual", "dpdd"),
        layouts=dpdd(SIDES),
        n_images=76,
        size=(1120, 1680),
        file_bits=(16,),
        read_bits=16,
        groups=(("indoor", "indoor_labels.npy"), ("outdoor", "outdoor_labels.npy")),
        also=("mae", "lpips"),
    ),
    Benchmark(
        *("sidd", "SIDD", "denoise", "sidd"),
        layouts=(Layout("released", below("SIDD"), SIDD_VIEWS),),
        n_images=1280,
        size=(256, 256),
        block_shape=(40, 32, 256, 256, 3),
        note="the validation blocks: the benchmark's own targets are not public",
    ),
    Benchmark(
        *("sensenoise", "SenseNoise", "denoise", "sensenoise"),
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
        *("rain13k", "Rain13K", "derain", "derain_y"),
        layouts=(released("Rain13K", "train"),),
        n_images=13712,
        is_training=True,
        note="for training: it is read and checked, never evaluated",
    ),
    Benchmark(
        *("test100", "Test100", "derain", "derain_y"),
        layouts=(released("Test100"),),
        n_images=98,
        note="98 images in spite of its name",
    ),
    Benchmark(
        *("rain100h", "Rain100H", "derain", "derain_y"),
        layouts=rain100("Rain100H"),
        n_images=100,
    ),
    Benchmark(
        *("rain100l", "Rain100L", "derain", "derain_y"),
        layouts=rain100("Rain100L"),
        n_images=100,
        note="a test set here; the recipe released with Restormer validates on it",
    ),
    Benchmark(
        *("test2800", "Test2800", "derain", "derain_y"),
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
        *("test1200", "Test1200", "derain", "derain_y"),
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
