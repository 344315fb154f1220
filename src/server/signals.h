/* signals.h - what the server is told by signals: SIGINT and SIGTERM end it, SIGUSR1 asks for its
 * figures, SIGHUP and SIGPIPE mean nothing to it. */

#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Blocks the signals that mean something, except while select waits with `waiting_mask`: one that
 * comes between the look at them and the wait would be lost otherwise. -1 with errno set when that
 * cannot be. */
int set_up_signals(sigset_t *waiting_mask);

/* Whether it is time to end. Lets in what signals have come. */
bool told_to_end(void);

/* Whether somebody has asked for the figures since the last call. */
bool asked_for_figures(void);

#endif /* SIGNALS_H */
