/*
 * kernel.h - a kernel that does not do what the library asks it to, where and when it is told so.
 *
 * Every send is interrupted once before it is made, and close and shutdown do what they should
 * and report a failure, which is nobody's business. The program's own calls work as ever.
 */

#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "chatServer.h"

/* A fault beside those that errno.h has numbers for: the kernel takes a byte and no more. */
enum { ONE_BYTE = -1 };

/* What is to become of the sends of one call. */
struct kernel_plan {
	int failing;             /* which goes wrong, counted from 1; 0 for none */
	int fault;               /* in what way: an errno, or ONE_BYTE */
	const conn_pool_t *pool; /* each goes wrong or not, by chance, to those here who have nothing
	                          * queued; NULL for nobody */
	const char *bytes;       /* what is sent is to be this; NULL for anything */
	bool pretends;           /* nothing is really sent */
};

/* This thread enters the library. */
void kernel_enter(struct kernel_plan plan);

/* Leaves it; true when the one send has gone wrong. */
bool kernel_leave(void);

/* How many bytes have been sent since this thread entered the library last. */
size_t kernel_has_taken(void);

/* Whether a send to the descriptor has gone wrong by chance since this was asked last. */
bool kernel_has_failed(int fd);

/* Has the dice fall in another way. */
void kernel_set_seed(unsigned int seed);

/* How many calls have gone wrong. */
long kernel_faults(void);

#endif /* KERNEL_H */
