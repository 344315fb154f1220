/*
 * memory.h - allocations that fail inside the library, as the caller plans. The program's own
 * allocations never fail.
 */

#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

/* Call before this thread enters the library. Allocation number `failing`, counted from 1, will
 * fail, alone or with all that follow; 0 for none. */
void memory_enter(int failing, bool for_ever);

/* Call after the library returns; returns how many allocations it asked for. */
int memory_leave(void);

/* Call at the end of the process: exits with a failure unless all memory was freed, the
 * program's own included. Returns how many allocations failed. */
long memory_end(void);

#endif /* MEMORY_H */
