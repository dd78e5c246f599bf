#!/bin/sh
# Prints the first Python on this machine that can run the project: 3.11 before 3.13 (or only the one asked for: `find_python.sh 3.13`).
wanted=${1:-"3.11 3.13"}
works() { "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1; }
for version in $wanted; do
    for candidate in "python$version" python3 python "$HOME"/.pyenv/versions/"$version".*/bin/python; do
        if works "$candidate" "$version"; then
            echo "$candidate"
            exit 0
        fi
    done
done
exit 1
