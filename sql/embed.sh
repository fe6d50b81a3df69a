#!/bin/sh
# Writes an assembler file that holds every SQL file and the table that
# dispatcher/base/embed.c reads: (path, data, size) per file, NULL at the end.
#   sh sql/embed.sh OUT.S
set -eu

out=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

{
    echo '/* Made by sql/embed.sh; do not edit. */'
    echo '    .section .note.GNU-stack,"",%progbits'
    echo '    .section .rodata'
    n=0
    for file in $(ls ./*.sql queries/*.sql roles/*.sql | sed 's|^\./||' |
                  LC_ALL=C sort); do
        echo ".Ldata$n:"
        echo "    .incbin \"$here/$file\""
        echo ".Lend$n:"
        echo '    .byte 0'
        echo ".Lpath$n:"
        echo "    .asciz \"$file\""
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
