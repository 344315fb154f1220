/* write_msg on files that must not grow, and on terminals of a background process: no signal. */

#define _GNU_SOURCE /* posix_openpt */

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

#include "room.h"

enum { MOST = 100 };

static conn_pool_t pool;

static bool is_pending(int signal)
{
	sigset_t pending;

	CHECK_EQ(sigpending(&pending), 0);
	return sigismember(&pending, signal) == 1;
}

/* Makes a pool with a file that has as many bytes as any file may have. */
static int open_full_file(void)
{
	const struct rlimit limit = { .rlim_cur = MOST, .rlim_max = RLIM_INFINITY };
	FILE *file = tmpfile();
	int sd = dup(fileno(file));

	fclose(file);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	init_pool(&pool);
	CHECK_EQ(add_conn(sd, &pool), 0);
	queue_pattern(0, MOST, &pool);
	CHECK_EQ(write_msg(sd, &pool), 0);
	CHECK_EQ(queued(sd, &pool), 0);
	return sd;
}

static void check_too_large(int sd)
{
	long blocked = blocked_signals();

	CHECK_EQ(add_msg(OUTSIDER, "x", 1, &pool), 0);
	CHECK_FAILS(write_msg(sd, &pool), EFBIG);
	CHECK_EQ(queued(sd, &pool), 0);
	CHECK_EQ(blocked_signals(), blocked);
}

/* Instruments that write a file at the end need the limit gone. */
static void close_full_file(int sd)
{
	const struct rlimit none = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };

	CHECK_EQ(remove_conn(sd, &pool), 0);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
}

TEST(a_file_that_must_not_grow_is_an_error_and_no_signal)
{
	int sd;

	CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	sd = open_full_file();
	check_too_large(sd);
	CHECK(!is_pending(SIGXFSZ));
	close_full_file(sd);
}

TEST(a_blocked_sigxfsz_is_pending_afterwards_only_if_it_was_before)
{
	int sd = open_full_file();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	check_too_large(sd);
	CHECK(!is_pending(SIGXFSZ));
	raise(SIGXFSZ);
	check_too_large(sd);
	CHECK(is_pending(SIGXFSZ));
	close_full_file(sd);
}

/* Opens a new terminal, which becomes the session's, and which stops background processes that
 * write to it. */
static int open_terminal(void)
{
	struct termios settings;
	int master = posix_openpt(O_RDWR | O_NOCTTY), sd;

	CHECK(master != -1);
	CHECK_EQ(grantpt(master) | unlockpt(master), 0);
	CHECK(setsid() != -1);
	sd = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(sd != -1);
	CHECK_EQ(ioctl(sd, TIOCSCTTY, 0), 0);
	CHECK_EQ(tcgetattr(sd, &settings), 0);
	settings.c_lflag |= TOSTOP;
	CHECK_EQ(tcsetattr(sd, TCSANOW, &settings), 0);
	return sd;
}

static void write_from_the_background(int sd)
{
	CHECK_EQ(setpgid(0, 0), 0);
	CHECK(signal(SIGTTOU, SIG_DFL) != SIG_ERR);
	init_pool(&pool);
	CHECK_EQ(add_conn(sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_EQ(write_msg(sd, &pool), 0);
	CHECK_EQ(queued(sd, &pool), 0);
	CHECK_EQ(remove_conn(sd, &pool), 0);
}

/* Returns the status of a child that writes to a terminal from the background. */
static int write_in_a_session(void)
{
	int sd = open_terminal(), status;
	pid_t child = fork();

	CHECK(child != -1);
	if (child == 0) {
		write_from_the_background(sd);
		_exit(EXIT_SUCCESS);
	}
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	if (WIFSTOPPED(status))
		kill(child, SIGKILL);
	return status;
}

TEST(a_background_process_is_not_stopped_by_its_terminal)
{
	int status;
	pid_t child = fork();

	CHECK(child != -1);
	if (child == 0)
		_exit(write_in_a_session() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}
