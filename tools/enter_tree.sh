#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a command inside a system tree (or in this machine's own, TREE = /), with a process list of its own.
# Called under `unshare --mount --pid --fork --kill-child`: the mounts and every process started here end with it.
# Usage: enter_tree.sh TREE FOLDER... -- COMMAND...   (a FOLDER is seen inside the tree at its own path)
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin${PATH:+:$PATH}
export PATH

tree=${1%/}
shift
here=$(pwd)

mount -t proc proc "$tree/proc"
[ -z "$tree" ] || mount --rbind /dev "$tree/dev"
while [ "$1" != -- ]; do
    if [ -n "$tree" ]; then
        mkdir -p "$tree$1"
        mount --rbind "$1" "$tree$1"
    fi
    shift
done
shift

# No `exec` here: the first process of a PID namespace ignores the signals that it raises itself, so a Blender in
# its place would hang after a crash instead of dying of it.
status=0
chroot "$tree/" sh -c 'cd "$0" 2>/dev/null || cd /; exec "$@"' "$here" "$@" || status=$?
exit "$status"
