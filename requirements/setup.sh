#!/bin/sh
# Make a virtual environment and install the pinned versions into it; called by `make setup`.
# PYTHON names the interpreter (empty: the first suitable one on PATH), VENV the folder,
# TORCH is "cpu" or "default", TORCH_INDEX_URL says where the CPU build of torch is.
set -eu

say() { printf '%s\n' "$*" >&2; }

# Exit status 0 when the interpreter $1 exists and is new enough.
suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

case "$TORCH" in
cpu | default) ;;
*)
    say "TORCH is '$TORCH'; expected cpu (small, no GPU) or default (PyPI's wheel)"
    exit 2
    ;;
esac

if [ -n "$PYTHON" ]; then
    if ! suits "$PYTHON"; then
        found=$("$PYTHON" -c 'import platform; print(platform.python_version())' 2>/dev/null) ||
            found='not there'
        say "ensrepro needs Python 3.11 or newer; PYTHON=$PYTHON is $found"
        exit 1
    fi
else
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if suits "$name"; then
            PYTHON=$name
            break
        fi
    done
    if [ -z "$PYTHON" ]; then
        found=$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null) ||
            found='not there'
        say "ensrepro needs Python 3.11 or newer; python3 is $found;" \
            "install one and name it: make setup PYTHON=/path/to/python3.12"
        exit 1
    fi
fi

py=$VENV/bin/python
# A virtual environment that was made by an older Python is made anew.
if [ -e "$py" ] && ! suits "$py"; then
    say "$VENV holds an older Python or a broken one; delete it (make distclean) and try again"
    exit 1
fi
if [ ! -e "$py" ] || ! "$py" -m pip --version >/dev/null 2>&1; then
    say "making $VENV with $("$PYTHON" -V)"
    "$PYTHON" -m venv "$VENV"
fi

torch=$(sed -n 's/^torch==/torch==/p' requirements/library.txt)
# On macOS, PyPI's wheel is the CPU build already. Elsewhere the CPU build is used if it can be had.
if [ "$TORCH" = cpu ] && [ "$(uname)" = Linux ] &&
    "$py" - "$TORCH_INDEX_URL" <<'PYTHON' >/dev/null 2>&1; then
import sys
from urllib.request import urlopen

urlopen(f"{sys.argv[1].rstrip('/')}/torch/", timeout=5).close()
PYTHON
    say "installing the CPU build of $torch"
    "$py" -m pip install --quiet --extra-index-url "$TORCH_INDEX_URL" \
        --constraint requirements/library.txt "$torch"
else
    if [ "$TORCH" = cpu ] && [ "$(uname)" = Linux ]; then
        say "no CPU build at $TORCH_INDEX_URL; the default wheel may bring 2.6 GiB with CUDA"
    fi
    say "installing $torch from the default package index"
    "$py" -m pip install --quiet --constraint requirements/library.txt "$torch"
fi

say "installing the pinned versions: 0.4 GB, some minutes"
"$py" -m pip install --quiet -r requirements/dev.txt
"$py" -m pip install --quiet --no-deps --editable .
"$py" -m pip check
