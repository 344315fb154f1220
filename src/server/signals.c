/* signals.c - see signals.h. */

#define _GNU_SOURCE /* sigisemptyset */

#include "signals.h"

#include <stddef.h>
#include <unistd.h>

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
	/* As without a handler, which process 1 outlives. */
	signal(number, SIG_DFL);
	raise(number);
	_exit(128 + number);
}

/* What would end or stop the server for an output's sake is ignored, and SIGCHLD, so that no child
 * becomes a zombie. */
static const struct {
	int number;
	void (*handler)(int);
} actions[] = {
	{ SIGINT, on_signal },  { SIGTERM, on_signal }, { SIGHUP, on_signal },
	{ SIGUSR1, on_signal }, { SIGPIPE, SIG_IGN },   { SIGXFSZ, SIG_IGN },
	{ SIGTTOU, SIG_IGN },   { SIGCHLD, SIG_IGN },
};

/* Those that have the handler. */
static sigset_t handled;

int signals_prepare(void)
{
	struct sigaction action = { .sa_flags = SA_RESTART | SA_NODEFER }, before;
	size_t at;

	sigemptyset(&handled);
	for (at = 0; at < sizeof actions / sizeof actions[0]; at++) {
		const int number = actions[at].number;

		if (sigaction(number, NULL, &before) == -1)
			return -1;
		if (number == SIGHUP && before.sa_handler == SIG_IGN)
			continue;
		action.sa_handler = actions[at].handler;
		if (action.sa_handler == on_signal)
			sigaddset(&handled, number);
		if (sigaction(number, &action, NULL) == -1)
			return -1;
	}
	return 0;
}

int signals_block(sigset_t *waiting_mask)
{
	size_t at;

	if (sigprocmask(SIG_BLOCK, &handled, waiting_mask) == -1)
		return -1;
	for (at = 0; at < sizeof actions / sizeof actions[0]; at++)
		sigdelset(waiting_mask, actions[at].number);
	serving = 1;
	return 0;
}

bool should_stop(void)
{
	sigset_t pending;

	/* Under load pselect() never has to wait, and then delivers no signal. */
	if (sigpending(&pending) == 0 && !sigisemptyset(&pending)) {
		sigprocmask(SIG_UNBLOCK, &handled, NULL);
		sigprocmask(SIG_BLOCK, &handled, NULL);
	}
	return stopping;
}

bool stats_requested(void)
{
	bool was_requested = requested;

	requested = 0;
	return was_requested;
}
