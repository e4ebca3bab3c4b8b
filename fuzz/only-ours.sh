#!/bin/sh
# Stands before rustc (`RUSTC_WRAPPER`) so that only this project's crates are watched by the fuzzer: what counts as new is a
# way through our code, not one through the SDK or the engine.
compiler=$1
shift
ours=no
previous=
for argument; do
    [ "$previous" = --crate-name ] && case $argument in
        scim_endpoint | filter | path | patch | resource | query | cursor | token | event | handle) ours=yes ;;
    esac
    previous=$argument
done
if [ $ours = no ]; then
    count=$#
    while [ $count -gt 0 ]; do
        argument=$1
        shift
        count=$((count - 1))
        case $argument in
            -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage* | -Cllvm-args=-sanitizer-trace*) ;;
            *) set -- "$@" "$argument" ;;
        esac
    done
fi
exec "$compiler" "$@"
