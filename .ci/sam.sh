#!/usr/bin/env bash
# Checks template.yaml, builds the function as a user's `sam build` does, and checks the file that it made.
#
# Needs no AWS account. The first run takes sam and cargo-lambda from PyPI, into a directory outside the repository.
# The contract tests then run on the file: SCIM_BOOTSTRAP="$(.ci/sam.sh --path)" cargo test --test it lambda::
set -euo pipefail
cd "$(dirname "$0")/.."

sam_cli=1.170.0
cargo_lambda=1.9.2
# A ceiling, so that a dependency that doubles the cold start is noticed. Lambda fetches the file at each one.
megabytes_max=6.5
build_dir=target/sam
bootstrap="$PWD/$build_dir/Function/bootstrap"

if [ "${1:-}" = --path ]; then
  echo "$bootstrap"
  exit
fi

cache="${SCIM_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/scim-endpoint-ci}"
venv="$cache/sam-$sam_cli-$cargo_lambda"
if [ ! -x "$venv/bin/sam" ] || [ ! -x "$venv/bin/cargo-lambda" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "aws-sam-cli==$sam_cli" "cargo-lambda==$cargo_lambda"
fi
export PATH="$venv/bin:$PATH"
export SAM_CLI_TELEMETRY=0
# As on a machine that has no AWS account.
unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export AWS_EC2_METADATA_DISABLED=true

echo "== sam validate --lint"
sam validate --lint --template template.yaml
cfn-lint infra/*.yaml

echo "== what SAM makes of it"
python .ci/transformed.py

echo "== sam build (x86_64; arm64 is the default, but cannot be run here)"
sam build --template template.yaml --build-dir "$build_dir" --parameter-overrides Architecture=x86_64

echo "== the file"
python3 - "$bootstrap" "$megabytes_max" <<'PYTHON'
import re, sys

path, megabytes_max = sys.argv[1], float(sys.argv[2])
data = open(path, "rb").read()
problems = []
if data[:4] != b"\x7fELF" or data[18:20] != b"\x3e\x00":
    problems.append("it is no x86-64 program")
if len(data) > megabytes_max * 1_000_000:
    problems.append(f"it is larger than {megabytes_max} MB")
# Texts that cannot be missing from a program with that library in it.
for name, text in {"SQLite": b"SQLite format 3", "clap": b"clap_builder", "dynoxide": b"dynoxide"}.items():
    if text in data:
        problems.append(f"it contains {name}")
# provided.al2023 has glibc 2.34.
versions = {tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_(2\.\d+)\0", data)}
newest = max(versions, default=(0, 0))
if newest > (2, 34):
    problems.append("it needs glibc %d.%d" % newest)
print(f"{path}: {len(data) / 1e6:.2f} MB, glibc {newest[0]}.{newest[1]}")
sys.exit("\n".join(problems) if problems else 0)
PYTHON

echo "== its dependencies"
tree() { cargo tree --locked --no-default-features --edges normal --target x86_64-unknown-linux-gnu --prefix none "$@"; }
packages="$(tree --format '{p}' | awk '{ print $1, $2 }' | sort -u)"
failed=0
for name in dynoxide-rs rusqlite libsqlite3-sys clap indicatif aws-sdk-cloudformation aws-sdk-sso aws-lc-sys openssl-sys; do
  if grep -q "^$name " <<<"$packages"; then
    echo "the function depends on $name" >&2
    failed=1
  fi
done
for name in hyper rustls ring tokio aws-smithy-http-client; do
  count="$(grep -c "^$name " <<<"$packages" || true)"
  if [ "$count" -gt 1 ]; then
    echo "the function has $count versions of $name" >&2
    failed=1
  fi
done
echo "$(wc -l <<<"$packages") packages"
exit "$failed"
