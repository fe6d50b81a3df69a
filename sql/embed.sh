#!/bin/sh
# Writes an assembler file that holds the files that are built in, and the
# table that dispatcher/base/embed.c reads: (path, data, size) per file, sorted
# by path, NULL at the end.
#   sh sql/embed.sh OUT.S
# Built in are the SQL of this folder under its own paths, and the preview's
# page as page/NAME.
set -eu

out=$(realpath "$1")
cd "$(dirname "$0")"
sql=$(pwd)
page=$(cd ../dispatcher/preview/page && pwd)

# A line a file: its path in the program, a space, where it is.
list() {
    for file in *.sql queries/*.sql roles/*.sql; do
        echo "$file $sql/$file"
    done
    (cd "$page" && for file in *; do echo "page/$file $page/$file"; done)
}

list | LC_ALL=C sort | {
    echo '/* Made by sql/embed.sh; do not edit. */'
    echo '    .section .note.GNU-stack,"",%progbits'
    echo '    .section .rodata'
    n=0
    while read -r path file; do
        echo ".Ldata$n:"
        echo "    .incbin \"$file\""
        echo ".Lend$n:"
        echo '    .byte 0'
        echo ".Lpath$n:"
        echo "    .asciz \"$path\""
        n=$((n + 1))
    done
    echo '    .section .data.rel.ro.local,"aw"'
    echo '    .balign 8'
    echo '    .globl embed_table'
    echo 'embed_table:'
    i=0
    while [ $i -lt $n ]; do
        echo "    .quad .Lpath$i, .Ldata$i, .Lend$i - .Ldata$i"
        i=$((i + 1))
    done
    echo '    .quad 0, 0, 0'
} > "$out"
