/* systemd.c - see systemd.h. */

#define _GNU_SOURCE /* setenv, SO_PROTOCOL, warnx */

#include "systemd.h"

#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/number.h"
#include "../common/tcp.h"

/* The descriptor of the first inherited socket; the others follow it. */
enum { FIRST_INHERITED = 3 };

static int get_number(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof value;

	getsockopt(fd, SOL_SOCKET, option, &value, &length);
	return value;
}

static int inherit_listener(int fd)
{
	if (get_number(fd, SO_ACCEPTCONN) != 1 || get_number(fd, SO_PROTOCOL) != IPPROTO_TCP) {
		warnx("passed descriptor %d: not a listening TCP socket", fd);
		return -1;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 || fcntl(fd, F_SETFL, O_NONBLOCK) == -1 ||
	    set_up_tcp(fd) == -1) {
		warn("passed descriptor");
		return -1;
	}
	return 0;
}

/* How many sockets the environment announces to this process, or -1 if it makes no sense. */
static int count_announced(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uintmax_t number;

	if (pid == NULL || fds == NULL)
		return 0;
	if (!parse_number(pid, "", 1, UINTMAX_MAX, &number)) {
		warnx("LISTEN_PID: not the number of a process: '%s'", pid);
		return -1;
	}
	/* The variables were meant for the process that started this one. */
	if (number != (uintmax_t)getpid())
		return 0;
	if (!parse_number(fds, "", 0, FD_SETSIZE - FIRST_INHERITED, &number)) {
		warnx("LISTEN_FDS: not a number of sockets: '%s'", fds);
		return -1;
	}
	return (int)number;
}

int inherit_listeners(fd_set *listeners)
{
	int count = count_announced();
	int fd;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	for (fd = FIRST_INHERITED; fd < FIRST_INHERITED + count; fd++) {
		if (inherit_listener(fd) == -1)
			return -1;
		FD_SET(fd, listeners);
	}
	return count;
}
