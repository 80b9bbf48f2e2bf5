#!/bin/sh
# SPDX-License-Identifier: MIT
#
# embed.sh COMMON SCRIPT...: the scripts as a C file on standard output. Each
# gets COMMON before it, or where it has a line "--+ common" there: what stands
# above does without. One with a line "--+ alone" gets none. Comments and indentation are left out.
set -eu
common=$1
mark='^--+ common$'
shift

strip() {
	sed -e 's/^[[:space:]]*//' -e '/^--/d' -e '/^$/d' \
	    -e 's/\\/\\\\/g' -e 's/"/\\"/g' \
	    -e 's/^/	    "/' -e 's/$/\\n"/' "$@"
}

echo '/* Made by lua/embed.sh from the scripts there. */'
echo '#include "config.h"'
echo '#include "store/script.h"'
echo 'struct script scripts[SCRIPT_COUNT] = {'
for f in "$@"; do
	name=$(basename "$f" .lua)
	echo "	[SCRIPT_$(echo "$name" | tr '[:lower:]' '[:upper:]')] = {"
	echo "	    .name = \"$name\", .text ="
	if grep -q '^--+ alone$' "$f"; then
		strip "$f"
	elif grep -q "$mark" "$f"; then
		sed "/$mark/,\$d" "$f" | strip
		strip "$common"
		sed "1,/$mark/d" "$f" | strip
	else
		strip "$common" "$f"
	fi
	echo '	},'
done
echo '};'
