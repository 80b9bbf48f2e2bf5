#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The official client libraries of Anthropic and OpenAI against what our
# decoders make of the same bytes, and our scripted model sends: make
# check-conformance. Not a part of make check, since they are downloaded from
# the npm registry. The versions are those that the recordings were compared
# with. The last line counts; 1 if anything failed.
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/tests/conformance/npm.sh"
npm_install 20 @anthropic-ai/sdk@1.11.0 openai@6.49.0
PYTHONPATH=$root/tests/lib ${PYTHON3:-python3} -B \
	"$root/tests/conformance/sdk.py" "$node" "$dir"
