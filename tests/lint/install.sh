#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "make install" below /usr/local: what the units and the site name is there,
# and a configuration that was changed stays. Below /usr, as for the Debian
# package, they are the files of the source. And "make check" ends with the line
# that counts the tests.
# shellcheck disable=SC2013 # no path here has a space
cd "${SRCDIR:-.}" || exit 1
src=$PWD
cd "${BUILDDIR:-.}" || exit 1
if ! [ -f Makefile ]; then
	echo "ok 1 - install # SKIP there is no Makefile in $PWD"
	echo "1..1"
	exit 0
fi
# Not what the make says that this was started by.
unset MAKEFLAGS MFLAGS MAKELEVEL
n=0 failed=0
report() { # NAME WRONG...
	n=$((n + 1))
	name=$1
	shift
	if [ $# -eq 0 ]; then
		echo "ok $n - $name"
		return
	fi
	failed=1
	printf '# %s\n' "$@"
	echo "not ok $n - $name"
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

to() { # TARGET PREFIX SYSCONFDIR
	make -s "$1" prefix="$2" sysconfdir="$3" DESTDIR="$tmp$2" \
	    systemdsystemunitdir="$2/lib/systemd/system" >"$tmp/log" 2>&1 ||
	    cat "$tmp/log"
}
to install /usr/local /usr/local/etc
root=$tmp/usr/local
units=$root/usr/local/lib/systemd/system
nginx=$root/usr/local/share/agent-fpm/nginx
conf=$root/usr/local/etc/agent-fpm/agent-fpm.conf

set --
found=0
for unit in "$units"/*.service; do
	found=$((found + 1))
	# The program and the configuration; %i is a pool's name.
	for file in $(sed -n 's/^ExecStart=//p' "$unit" | grep -o '/[^ ]*'); do
		[ -f "$root${file%%%i.conf}" ] || [ -d "$root${file%%%i.conf}" ] ||
		    set -- "$@" "${unit##*/}: $file"
	done
done
[ $found -ge 5 ] || set -- "$@" "only $found units"
report "programs and configuration of the units" "$@"

set --
state=/var/lib/$(sed -n 's/^StateDirectory=//p' "$units/agent-fpm-sandbox.service")
for folder in $(sed -n 's/^[\t ]*alias \(.*\);/\1/p' "$nginx"/*); do
	case $folder in
	"$state"/*) continue ;; # made by systemd, with its unit
	esac
	[ -d "$root$folder" ] || set -- "$@" "alias $folder"
done
[ -f "$root/usr/local/share/agent-fpm/www/index.html" ] || set -- "$@" "www"
for file in $(sed -n 's/^[\t ]*include snippets\/\(.*\);/\1/p' "$nginx"/*); do
	[ -f "$nginx/$file" ] || set -- "$@" "include snippets/$file"
done
report "what the site includes and serves" "$@"

set --
for old in /usr/sbin /usr/share/agent-fpm /etc/agent-fpm; do
	for file in $(grep -rlE "(^|[^l])$old" "$units" "$nginx" \
	    "$root/usr/local/lib/tmpfiles.d" \
	    "$root/usr/local/share/man/man8"); do
		set -- "$@" "${file#"$root"} names $old"
	done
done
report "no folder of another prefix" "$@"

set --
[ -f "$conf" ] || set -- "there is none"
cmp -s "$conf" docs/agent-fpm.conf.sample || set -- "$@" "it is not the sample"
echo "workers = 3" >>"$conf"
to install /usr/local /usr/local/etc
grep -qx "workers = 3" "$conf" || set -- "$@" "an installation changed it"
to uninstall /usr/local /usr/local/etc
[ "$(find "$root" -type f)" = "$conf" ] ||
    set -- "$@" "an uninstallation left other files, or not this one"
cp docs/agent-fpm.conf.sample "$conf"
to uninstall /usr/local /usr/local/etc
[ ! -e "$conf" ] || set -- "$@" "an uninstallation left it, unchanged as it was"
report "the configuration" "$@"

set --
to install /usr /etc
root=$tmp/usr
for file in "$src"/nginx/agent-fpm* "$src"/systemd/*.service "$src"/systemd/*.socket \
    "$src"/docs/agent-fpm*.8; do
	case $file in
	*/nginx/*) folder=/usr/share/agent-fpm/nginx ;;
	*/systemd/*) folder=/usr/lib/systemd/system ;;
	*) folder=/usr/share/man/man8 ;;
	esac
	cmp -s "$file" "$root$folder/${file##*/}" || set -- "$@" "$file"
done
cmp -s "$src/systemd/agent-fpm.tmpfiles" "$root/usr/lib/tmpfiles.d/agent-fpm.conf" ||
    set -- "$@" tmpfiles
[ -x "$root/usr/share/agent-fpm/skills/csv-summary/scripts/summary.sh" ] ||
    set -- "$@" "a skill's program cannot be run"
report "below /usr" "$@"

set --
last=$(make check PYTHON3=echo check_PROGRAMS= unit_tests= fuzz_corpora= 2>&1 |
    tail -n 1)
case $last in
*/tests/run.py\ *) ;;
*) set -- "$last" ;;
esac
report "the last line of make check" "$@"
echo "1..$n"
exit $failed
