"""Makes the book's copy of onnxruntime-web anew: `python onnxruntime_web.py [FOLDER]`.

That is `runtime.js`, LICENSE and ThirdPartyNotices.txt in `book/assets/vendor/onnxruntime-web`.

A page opened from a file may load scripts and nothing else, so the three parts of onnxruntime-web
that run networks on the CPU travel as one script that sets `window.ensreproRuntime`: each part
compressed by zlib at level 9, in base64. The npm package holds no license texts; they are those
of the Python package of the same version, built from the same sources. Needs `npm` and `pip`.
Every input and output is checked against its SHA-256. Another zlib than 1.2 or 1.3 of zlib.net may
compress to other bytes; then the last check says so, though the contents are the same.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
import zlib
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

VERSION = "1.30.0"
NPM = f"onnxruntime-web-{VERSION}.tgz"
WHEEL = f"onnxruntime-{VERSION}-cp311-cp311-manylinux_2_28_x86_64.whl"
CORE = "ort-wasm-simd-threaded"
PARTS = {  # key in the script -> file in the npm package
    "api": "ort.wasm.min.js",
    "loader": f"{CORE}.mjs",
    "binary": f"{CORE}.wasm",
}
TARGET = Path(__file__).resolve().parents[1] / "book" / "assets" / "vendor" / "onnxruntime-web"
TEXTS = ("LICENSE", "ThirdPartyNotices.txt")
SHA256 = {
    NPM: "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    f"{CORE}.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    f"{CORE}.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "LICENSE": "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
    "ThirdPartyNotices.txt": "143764b952fdb1a7c69ce653bfba74a7744d6a8a573bfb73e235fba356c83de3",
    "runtime.js": "0fb0264005afd0b957faa8557d11b3a4d1f104b72010c505a92148b6dcbb8f6b",
}
HEAD = (
    f"/* onnxruntime-web {VERSION}, Copyright (c) Microsoft Corporation, MIT License; see "
    "LICENSE\n   and ThirdPartyNotices.txt beside this file. Made by "
    f"requirements/onnxruntime_web.py:\n   {', '.join(PARTS.values())},\n"
    "   compressed and in base64. */\n"
)


def checked(name: str, content: bytes) -> bytes:
    """The content if it has the recorded hash, else a ValueError."""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise ValueError(f"{name} has the SHA-256 {found}, expected {SHA256[name]}")
    return content


def download(folder: Path) -> None:
    """The npm package and the Python package of this version, into a folder."""
    subprocess.run(["npm", "pack", f"onnxruntime-web@{VERSION}"], cwd=folder, check=True)
    options = ("--no-deps", "--only-binary=:all:", "--python-version=311")
    system = "--platform=manylinux_2_28_x86_64"
    pip = [sys.executable, "-m", "pip", "download", *options, system, f"onnxruntime=={VERSION}"]
    subprocess.run(pip, cwd=folder, check=True)


def packed(content: bytes) -> str:
    """Bytes as the page unpacks them: base64 of what zlib makes of them."""
    return b64encode(zlib.compress(content, 9)).decode("ascii")


def script(package: Path) -> bytes:
    """The script, from the npm package."""
    checked(NPM, package.read_bytes())
    value = {"version": VERSION}
    with tarfile.open(package) as archive:
        for key, name in PARTS.items():
            file = archive.extractfile(f"package/dist/{name}")
            if file is None:
                raise ValueError(f"{NPM} holds no file {name}")
            value[key] = packed(checked(name, file.read()))
    text = json.dumps(value, indent=0)
    return f"{HEAD}window.ensreproRuntime = {text};\n".encode()


def main(target: Path) -> None:
    """Write all files into the folder `target`."""
    with TemporaryDirectory() as folder:
        download(Path(folder))
        with zipfile.ZipFile(Path(folder, WHEEL)) as wheel:
            made = {name: checked(name, wheel.read(f"onnxruntime/{name}")) for name in TEXTS}
        made["runtime.js"] = checked("runtime.js", script(Path(folder, NPM)))
    for name, content in made.items():
        (target / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
