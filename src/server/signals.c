/* signals.c - see signals.h. */

#define _GNU_SOURCE /* sigandset */

#include "signals.h"

#include <stddef.h>

static const int handled[] = { SIGINT, SIGTERM, SIGUSR1 };
static const int ignored[] = { SIGHUP, SIGPIPE };

enum { HANDLED = sizeof handled / sizeof handled[0], IGNORED = sizeof ignored / sizeof ignored[0] };

/* Those of `handled`, as a set. */
static sigset_t handled_set;

static volatile sig_atomic_t stopping, requested;

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		requested = 1;
	else
		stopping = 1;
}

static int set_handler(const int *signals, int count, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	while (count-- > 0) {
		if (sigaction(*signals++, &action, NULL) == -1)
			return -1;
	}
	return 0;
}

int set_up_signals(sigset_t *waiting_mask)
{
	int at;

	sigemptyset(&handled_set);
	for (at = 0; at < HANDLED; at++)
		sigaddset(&handled_set, handled[at]);
	if (sigprocmask(SIG_BLOCK, &handled_set, waiting_mask) == -1)
		return -1;
	for (at = 0; at < HANDLED; at++)
		sigdelset(waiting_mask, handled[at]);
	if (set_handler(handled, HANDLED, on_signal) == -1)
		return -1;
	return set_handler(ignored, IGNORED, SIG_IGN);
}

/* Under load pselect() never has to wait, and then delivers no signal. */
static void deliver_pending(void)
{
	sigset_t pending;

	if (sigpending(&pending) == -1 || sigandset(&pending, &pending, &handled_set) == -1 ||
	    sigisemptyset(&pending))
		return;
	sigprocmask(SIG_UNBLOCK, &handled_set, NULL);
	sigprocmask(SIG_BLOCK, &handled_set, NULL);
}

bool should_stop(void)
{
	deliver_pending();
	return stopping;
}

bool stats_requested(void)
{
	bool was_requested = requested;

	requested = 0;
	return was_requested;
}
