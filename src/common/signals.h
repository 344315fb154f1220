/*
 * signals.h - SIGINT, SIGTERM and SIGHUP end the program, SIGUSR1 has it log its statistics.
 *
 * They have handlers from the start: process 1, as in a container, has no default actions.
 */

#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Call it first. Until signals_block() a signal that ends it does so at once. SIGHUP stays
 * ignored if it was, as under nohup(1). Returns -1 with errno set on failure. */
int signals_prepare(void);

/* Blocks the handled signals except while pselect() waits with `waiting_mask`. Otherwise one that
 * comes between should_stop() and the wait would go unnoticed. Returns -1 with errno set on
 * failure. */
int signals_block(sigset_t *waiting_mask);

/* Delivers pending signals. Returns whether one of those that end the program has come. */
bool should_stop(void);

/* Whether SIGUSR1 has been delivered since the last call. */
bool stats_requested(void);

#endif /* SIGNALS_H */
