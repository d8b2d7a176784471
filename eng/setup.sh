# To be sourced by the other scripts: makes this machine ready to build and run, in a fraction of a second when it is already.
command -v dotnet >/dev/null || { echo "[setup] the .NET SDK 10 is needed and 'dotnet' is not on the PATH" >&2; exit 1; }
native=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/artifacts/native
"$(dirname "${BASH_SOURCE[0]}")/native.sh" || exit 1
if [ -f "$native/libstdc++.so.6" ]; then export LD_LIBRARY_PATH=$native${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}; fi
