/* signals.c - see signals.h. */

#define _GNU_SOURCE /* sigisemptyset */

#include "signals.h"

#include <stddef.h>
#include <unistd.h>

/* `ignored`: what would end or stop the server for an output's sake, and SIGCHLD, so that no child
 * becomes a zombie. */
enum { COUNT = 4 };
static const int handled[COUNT] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
static const int ignored[COUNT] = { SIGPIPE, SIGXFSZ, SIGTTOU, SIGCHLD };

static sigset_t handled_set;
static volatile sig_atomic_t serving, stopping, requested;

static void on_signal(int number)
{
	if (number == SIGUSR1) {
		requested = 1;
		return;
	}
	stopping = 1;
	if (serving)
		return;
	/* Ends as if there were no handler. Process 1 survives raise(), hence _exit(). */
	signal(number, SIG_DFL);
	raise(number);
	_exit(128 + number);
}

static int set_action(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER };
	struct sigaction before;

	if (sigaction(number, NULL, &before) == -1)
		return -1;
	if (number == SIGHUP && before.sa_handler == SIG_IGN)
		return 0;
	return sigaction(number, &action, NULL);
}

int signals_prepare(void)
{
	int at;

	sigemptyset(&handled_set);
	for (at = 0; at < COUNT; at++) {
		sigaddset(&handled_set, handled[at]);
		if (set_action(handled[at], on_signal) == -1 ||
		    set_action(ignored[at], SIG_IGN) == -1)
			return -1;
	}
	return 0;
}

int signals_block(sigset_t *waiting_mask)
{
	int at;

	if (sigprocmask(SIG_BLOCK, &handled_set, waiting_mask) == -1)
		return -1;
	for (at = 0; at < COUNT; at++)
		sigdelset(waiting_mask, handled[at]);
	serving = 1;
	return 0;
}

bool should_stop(void)
{
	sigset_t pending;

	/* Under load pselect() never has to wait, and then delivers no signal. */
	if (sigpending(&pending) == 0 && !sigisemptyset(&pending)) {
		sigprocmask(SIG_UNBLOCK, &handled_set, NULL);
		sigprocmask(SIG_BLOCK, &handled_set, NULL);
	}
	return stopping;
}

bool stats_requested(void)
{
	bool was_requested = requested;

	requested = 0;
	return was_requested;
}
