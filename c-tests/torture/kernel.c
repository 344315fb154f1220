/* kernel.c - see kernel.h. The linker redirects these system calls of the program to this file.
 *
 * link: -Wl,--wrap=send,--wrap=sendmsg,--wrap=writev,--wrap=close,--wrap=shutdown
 */

#include "kernel.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "../lists.h"

static _Thread_local struct {
	struct kernel_plan plan;
	bool inside, interrupted, failed;
	int sends;
	size_t taken;
	fd_set failed_by_chance;
} library;

static _Thread_local unsigned int random_state = 1;
static atomic_long faults;

void kernel_enter(struct kernel_plan plan)
{
	library.plan = plan;
	library.inside = true;
	library.interrupted = library.failed = false;
	library.sends = 0;
	library.taken = 0;
}

bool kernel_leave(void)
{
	library.inside = false;
	return library.failed;
}

size_t kernel_has_taken(void)
{
	return library.taken;
}

bool kernel_has_failed(int fd)
{
	bool failed = FD_ISSET(fd, &library.failed_by_chance);

	FD_CLR(fd, &library.failed_by_chance);
	return failed;
}

void kernel_set_seed(unsigned int seed)
{
	random_state = seed * 2654435761u + 1;
}

long kernel_faults(void)
{
	return faults;
}

/* ---- Sending ---- */

static int fault_by_chance(int fd)
{
	static const int ways[] = { 0, 0, ONE_BYTE, EAGAIN, ENOBUFS, ENOMEM };
	const conn_t *conn = conn_of(fd, library.plan.pool);
	int fault;

	/* With something queued, this send is the last try before a cut-off, so it must not
	 * fail. */
	if (conn == NULL || conn->write_msg_head != NULL)
		return 0;
	random_state = random_state * 1103515245u + 12345u;
	fault = ways[(random_state >> 16) % (sizeof ways / sizeof ways[0])];
	if (fault != 0)
		FD_SET(fd, &library.failed_by_chance);
	return fault;
}

static int next_fault(int fd)
{
	library.interrupted = !library.interrupted;
	if (library.interrupted)
		return EINTR;
	library.sends++;
	if (library.sends == library.plan.failing) {
		library.failed = true;
		return library.plan.fault;
	}
	return library.plan.pool != NULL ? fault_by_chance(fd) : 0;
}

/* Limits the pieces to one byte if asked, and returns their size. */
static size_t limit(struct iovec *pieces, int count, bool to_one_byte)
{
	size_t size = 0;
	int at;

	for (at = 0; at < count; at++) {
		if (to_one_byte)
			pieces[at].iov_len = pieces[at].iov_len > 0 && size == 0;
		size += pieces[at].iov_len;
	}
	return size;
}

static void check_taken(const struct iovec *pieces, size_t size)
{
	const char *bytes = library.plan.bytes;

	while (size > 0) {
		size_t length = pieces->iov_len < size ? pieces->iov_len : size;

		if (bytes != NULL)
			CHECK(memcmp(pieces->iov_base, bytes + library.taken, length) == 0);
		library.taken += length;
		size -= length;
		pieces++;
	}
}

/* A pipe may take one byte although poll() says that it is full; then it must not. */
static bool has_room(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLOUT };

	return poll(&look, 1, 0) == 1;
}

typedef ssize_t carrier(int fd, const struct msghdr *header, int flags);

static ssize_t send_or_fail(carrier *carry, int fd, const struct msghdr *header, int flags)
{
	struct iovec pieces[UIO_MAXIOV];
	struct msghdr altered = *header;
	int fault = next_fault(fd);
	ssize_t taken;
	size_t size;

	faults += fault != 0;
	if (fault > 0) {
		errno = fault;
		return -1;
	}
	CHECK(header->msg_iovlen <= UIO_MAXIOV);
	memcpy(pieces, header->msg_iov, header->msg_iovlen * sizeof pieces[0]);
	altered.msg_iov = pieces;
	size = limit(pieces, (int)header->msg_iovlen, fault == ONE_BYTE && has_room(fd));
	taken = library.plan.pretends ? (ssize_t)size : carry(fd, &altered, flags);
	if (taken > 0)
		check_taken(pieces, (size_t)taken);
	return taken;
}

/* Whether the fault applies: the library is sending to a socket. (It learns by a first send that a
 * descriptor is none.) */
static bool is_tried(int fd)
{
	struct stat status;

	return library.inside && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
	if (!is_tried(fd))
		return __real_sendmsg(fd, header, flags);
	return send_or_fail(__real_sendmsg, fd, header, flags);
}

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	struct iovec piece = { .iov_base = (void *)bytes, .iov_len = size };
	const struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (!is_tried(fd))
		return __real_send(fd, bytes, size, flags);
	return send_or_fail(__real_sendmsg, fd, &header, flags);
}

ssize_t __real_writev(int fd, const struct iovec *pieces, int count);
static ssize_t carry_by_writev(int fd, const struct msghdr *header, int flags)
{
	(void)flags;
	return __real_writev(fd, header->msg_iov, (int)header->msg_iovlen);
}

ssize_t __wrap_writev(int fd, const struct iovec *pieces, int count);
ssize_t __wrap_writev(int fd, const struct iovec *pieces, int count)
{
	const struct msghdr header = { .msg_iov = (struct iovec *)pieces,
		                       .msg_iovlen = (size_t)count };

	if (!library.inside)
		return __real_writev(fd, pieces, count);
	return send_or_fail(carry_by_writev, fd, &header, 0);
}

/* ---- Ending ---- */

static int fail_after(int outcome, int error)
{
	if (!library.inside)
		return outcome;
	faults++;
	errno = error;
	return -1;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return fail_after(__real_close(fd), EINTR);
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
	return fail_after(library.inside && library.plan.pretends ? 0 : __real_shutdown(fd, how),
	                  ENOTCONN);
}
