#!/bin/sh
# Exported networks in onnxruntime for aarch64, emulated by QEMU: do they give this machine's output?
#
#     sh benchmarks/arm.sh FOLDER [PYTHON]
#
# FOLDER takes some 500 MB: networks, an emulator, an aarch64 Python and onnxruntime, which are not
# installed.
# Runs on Debian or Ubuntu for x86-64 with apt-get, dpkg-deb and pip, and fetches packages of Debian
# and of PyPI. QEMU comes from Debian 13: that of Debian 12, 7.2, crashes when onnxruntime is
# imported. Not part of `make test`; ten minutes or more, most of them in the emulator.
set -eu

[ $# -ge 1 ] || { echo 'usage: sh benchmarks/arm.sh FOLDER [PYTHON]' >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
python=${2:-$here/.venv/bin/python}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
root=$folder/root packages=$folder/packages

# The system's own lists of packages are left alone: each release and processor gets a private one.
fetch() { # release processor package...
    release=$1 processor=$2
    shift 2
    own=$folder/apt/$release-$processor
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$own/etc" "$packages/$processor"
    : > "$own/status"
    echo "deb [signed-by=$keys] $mirror $release main" > "$own/etc/sources.list"
    options="-q -o Dir::State=$own -o Dir::State::status=$own/status -o Dir::Cache=$own/cache
        -o Dir::Etc::sourcelist=$own/etc/sources.list -o Dir::Etc::sourceparts=- -o Dir::Etc::parts=-
        -o APT::Architecture=$processor -o APT::Architectures::=$processor -o APT::Sandbox::User=root"
    # shellcheck disable=SC2086  # the options are words
    apt-get $options update > "$own/log" 2>&1 || { tail -3 "$own/log" >&2; exit 1; }
    # shellcheck disable=SC2086
    (cd "$packages/$processor" && apt-get $options download "$@" >> "$own/log" 2>&1) ||
        { tail -3 "$own/log" >&2; exit 1; }
}

if [ ! -f "$folder/.ready" ]; then
    fetch trixie amd64 qemu-user
    fetch bookworm arm64 libc6 libstdc++6 libgcc-s1 gcc-12-base zlib1g libbz2-1.0 liblzma5 libffi8 \
        libexpat1 libssl3 libsqlite3-0 libuuid1 libncursesw6 libtinfo6 libreadline8 libdb5.3 \
        libcrypt1 libnsl2 libtirpc3 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
    for package in "$packages"/amd64/*.deb; do dpkg-deb -x "$package" "$folder/emulator"; done
    for package in "$packages"/arm64/*.deb; do dpkg-deb -x "$package" "$root"; done
    ours=$("$python" -c 'import onnxruntime as o, numpy as n; print(f"onnxruntime=={o.__version__} numpy=={n.__version__}")')
    # shellcheck disable=SC2086  # two requirements
    "$python" -m pip install -q --target "$folder/site" --python-version 3.11 --only-binary=:all: \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux2014_aarch64 --no-deps $ours flatbuffers protobuf packaging
    touch "$folder/.ready"
fi

"$python" "$here/benchmarks/arm.py" write "$folder/networks"
PYTHONHOME=$root/usr PYTHONPATH=$folder/site PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 \
    "$folder/emulator/usr/bin/qemu-aarch64" -cpu max -L "$root" \
    "$root/usr/bin/python3.11" "$here/benchmarks/arm.py" compare "$folder/networks"
