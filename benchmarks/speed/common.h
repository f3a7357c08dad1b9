/* What the programs of this benchmark share. */
#ifndef COMMON_H
#define COMMON_H
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Added to each time in a line, so that every one has 19 digits and no leading zero. */
#define BASE 1000000000000000000LL

static inline void check(int failed, const char *what)
{
    if (failed) {
        perror(what);
        exit(1);
    }
}

/* The monotonic clock, in nanoseconds: the same for all processes of a machine. */
static inline long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
#endif
