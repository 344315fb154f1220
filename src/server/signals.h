/* signals.h - SIGINT and SIGTERM end the server, SIGUSR1 has it log its statistics, and SIGHUP and
 * SIGPIPE are ignored. */

#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Blocks the handled signals except while pselect() waits with `waiting_mask`. Otherwise one that
 * comes between should_stop() and the wait would go unnoticed. Returns -1 with errno set on
 * failure. */
int set_up_signals(sigset_t *waiting_mask);

/* Delivers pending signals. Returns whether SIGINT or SIGTERM has come. */
bool should_stop(void);

/* Whether SIGUSR1 has been delivered since the last call. */
bool stats_requested(void);

#endif /* SIGNALS_H */
