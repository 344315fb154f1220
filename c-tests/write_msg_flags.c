/* write_msg to a pipe when fcntl fails: without O_NONBLOCK a write could wait for the reader, so
 * nothing may be written.
 *
 * The linker redirects the library's calls to the functions below.
 * link: -Wl,--wrap=fcntl
 */

#include <stdarg.h>

#include "room.h"

/* The fcntl command that fails, and its errno. */
static int failing, error;

int __real_fcntl(int fd, int command, int argument);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list arguments;
	int argument;

	va_start(arguments, command);
	argument = command == F_SETFL ? va_arg(arguments, int) : 0;
	va_end(arguments);
	if (command == failing) {
		errno = error;
		return -1;
	}
	return __real_fcntl(fd, command, argument);
}

static void check_nothing_is_written(int command, int reason)
{
	conn_pool_t pool;
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(init_pool(&pool), 0);
	CHECK_EQ(add_conn(ends[1], &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	failing = command;
	error = reason;
	CHECK_FAILS(write_msg(ends[1], &pool), reason);
	failing = -1;
	CHECK_EQ(queued(ends[1], &pool), 0);
	CHECK(!FD_ISSET(ends[1], &pool.write_set));
	CHECK_EQ(remove_conn(ends[1], &pool), 0);
	check_receives(ends[0], "", 0);
	close(ends[0]);
}

TEST(a_pipe_whose_flags_cannot_be_told_is_an_error)
{
	check_nothing_is_written(F_GETFL, EBADF);
}

TEST(a_pipe_whose_flags_cannot_be_changed_is_an_error)
{
	check_nothing_is_written(F_SETFL, EPERM);
}
