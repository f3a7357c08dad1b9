#!/bin/sh
# usage: test.sh PYTHON
# All tests, four at a time. Most of them are about several processes with timeouts, and where four share two cores, a
# process may wait for a processor for seconds. So the few that failed are run a second time, one after another, as
# CPython's own test runner does: what fails again has failed. The first failure stays on the screen, with a line that
# says so: a test that only passes alone is to be mended.
set -u
# Most tests start programs: with this variable, each of them would compile all modules anew.
unset PYTHONDONTWRITEBYTECODE
"$1" -m compileall -q src tests
most=12 # with more failures than this it is no matter of the machine
status=0
"$1" -m pytest --numprocesses 4 --dist loadfile -m 'not alone' || status=$?
[ "$status" -le 1 ] || exit "$status"
if [ "$status" = 1 ]; then
    failed=$("$1" -m pytest --last-failed --last-failed-no-failures none -m 'not alone' --collect-only -q --no-header | grep -c '::')
    echo "$failed failed beside others"
    [ "$failed" -gt 0 ] && [ "$failed" -le "$most" ] || exit 1
    echo "they run again, alone:"
    "$1" -m pytest --last-failed --last-failed-no-failures none -m 'not alone' || exit 1
fi
exec "$1" -m pytest -m alone
