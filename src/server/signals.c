/* signals.c - see signals.h. */

#define _GNU_SOURCE /* sigandset */

#include "signals.h"

#include <stddef.h>

static const int meant[] = { SIGINT, SIGTERM, SIGUSR1 };
static const int ignored[] = { SIGHUP, SIGPIPE };

enum { MEANT = sizeof meant / sizeof meant[0], IGNORED = sizeof ignored / sizeof ignored[0] };

/* Those of `meant`, as a set. */
static sigset_t meant_set;

static volatile sig_atomic_t ending, asked;

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		asked = 1;
	else
		ending = 1;
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

	sigemptyset(&meant_set);
	for (at = 0; at < MEANT; at++)
		sigaddset(&meant_set, meant[at]);
	if (sigprocmask(SIG_BLOCK, &meant_set, waiting_mask) == -1)
		return -1;
	for (at = 0; at < MEANT; at++)
		sigdelset(waiting_mask, meant[at]);
	if (set_handler(meant, MEANT, on_signal) == -1)
		return -1;
	return set_handler(ignored, IGNORED, SIG_IGN);
}

/* Under load select never has to wait, and so never lets a signal in: hence the look at those that
 * are pending. */
static void let_in_pending(void)
{
	sigset_t pending;

	if (sigpending(&pending) == -1 || sigandset(&pending, &pending, &meant_set) == -1 ||
	    sigisemptyset(&pending))
		return;
	sigprocmask(SIG_UNBLOCK, &meant_set, NULL);
	sigprocmask(SIG_BLOCK, &meant_set, NULL);
}

bool told_to_end(void)
{
	let_in_pending();
	return ending;
}

bool asked_for_figures(void)
{
	bool was_asked = asked;

	asked = 0;
	return was_asked;
}
