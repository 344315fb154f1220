/*
 * memory.h - memory that runs out inside the library, where and when it is told to.
 *
 * The program's own allocations never fail.
 */

#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

/* This thread enters the library. Allocation number `failing` from now on fails, counted from 1,
 * alone or with all that follow; 0 for none. */
void memory_enter(int failing, bool for_ever);

/* Leaves the library, and answers how many allocations it has asked for. */
int memory_leave(void);

/* At the end of the process: ends it as a failure unless all memory has been given back, the
 * program's own included, and answers how many allocations have failed. */
long memory_end(void);

#endif /* MEMORY_H */
