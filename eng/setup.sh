#!/usr/bin/env bash
# Makes this machine ready to build: picks the stack (design: two stacks), installs what it needs, builds the native part.
# Running it again costs a fraction of a second. STACK=packages|standins forces the choice.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*"; }

command -v dotnet >/dev/null || { echo "[setup] the .NET SDK 10 is needed and 'dotnet' is not on the PATH" >&2; exit 1; }

props=artifacts/stack.props
key="stack=${STACK:-auto} $(cat Directory.Packages.props Directory.Build.props eng/setup.sh | sha256sum | cut -c1-16)"
if [ -f "$props" ] && grep -qF "$key" "$props"; then
  stack=$(sed -n 's/.*<Stack [^>]*>\([a-z]*\)<.*/\1/p' "$props")
else
  mkdir -p artifacts
  case "${STACK:-}" in
    packages|standins) stack=$STACK; say "stack: $stack (STACK says so)" ;;
    '')
      say "trying to restore Microsoft.ML, Microsoft.ML.Tokenizers and TorchSharp ..."
      rm -f "$props"
      if dotnet restore eng/probe/probe.csproj -p:Stack=packages --verbosity quiet >artifacts/probe.log 2>&1; then
        stack=packages; say "stack: packages (they restore from this machine's feed)"
      else
        stack=standins
        say "stack: STANDINS: this machine's feed lacks $(grep -o 'Unable to find package [^ ]*' artifacts/probe.log | awk '{print $NF}' | sed 's/\.$//' | sort -u | paste -sd' ' | sed 's/^$/the packages/') (artifacts/probe.log)"
      fi ;;
    *) echo "[setup] STACK is '$STACK'; it must be 'packages' or 'standins'" >&2; exit 1 ;;
  esac
  cat > "$props.tmp" <<EOF
<Project>
  <!-- $key -->
  <PropertyGroup>
    <Stack Condition="'\$(Stack)' == ''">$stack</Stack>
  </PropertyGroup>
</Project>
EOF
  mv "$props.tmp" "$props"
fi

if [ "$stack" = standins ]; then
  eng/install.sh g++:g++ $([ -n "${LIBTORCH:-}" ] || echo "/usr/include/ATen/ATen.h:libtorch-dev /usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3:libopenblas0-pthread")
  eng/build-native.sh
fi
