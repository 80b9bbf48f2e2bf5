#!/bin/sh
# SPDX-License-Identifier: MIT
#
# embed.sh COMMON SCRIPT...: the scripts as a C file on standard output, each
# as embed.awk makes it.
set -eu
common=$1
awk=${0%.sh}.awk
shift

echo '/* Made by lua/embed.sh from the scripts there. */'
echo '#include "config.h"'
echo '#include "store/script.h"'
echo 'struct script scripts[SCRIPT_COUNT] = {'
for f in "$@"; do
	name=$(basename "$f" .lua)
	echo "	[SCRIPT_$(echo "$name" | tr '[:lower:]' '[:upper:]')] = {"
	echo "	    .name = \"$name\", .text ="
	awk -f "$awk" "$common" "$f" | sed -e '/^$/d' \
	    -e 's/\\/\\\\/g' -e 's/"/\\"/g' \
	    -e 's/^/	    "/' -e 's/$/\\n"/'
	echo '	},'
done
echo '};'
