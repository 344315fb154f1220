/*
 * kernel.h - system calls that fail inside the library, as the caller plans.
 *
 * Every send is interrupted once first. close and shutdown do their work and report a failure,
 * which the library must ignore. The program's own calls work as usual.
 */

#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "chatServer.h"

/* A fault that is no errno: the kernel takes one byte. */
enum { ONE_BYTE = -1 };

/* What happens to the sends of one library call. */
struct kernel_plan {
	int failing;             /* which send fails, counted from 1; 0 for none */
	int fault;               /* how: an errno, or ONE_BYTE */
	const conn_pool_t *pool; /* sends to members with nothing queued fail by
	                          * chance; NULL for none */
	const char *bytes;       /* what must be sent; NULL for anything */
	bool pretends;           /* nothing is really sent */
};

/* Call before this thread enters the library. */
void kernel_enter(struct kernel_plan plan);

/* Call after it returns; whether the planned send failed. */
bool kernel_leave(void);

/* How many bytes were sent since the last kernel_enter() of this thread. */
size_t kernel_has_taken(void);

/* Whether a send to the descriptor failed by chance since the last call of this. */
bool kernel_has_failed(int fd);

/* Seeds the faults by chance. */
void kernel_set_seed(unsigned int seed);

/* How many calls failed. */
long kernel_faults(void);

#endif /* KERNEL_H */
