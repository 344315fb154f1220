/* write_msg when the kernel reports an error although the connection lives on: after data is lost a
 * stream must end there, and sockets without a stream must go on.
 *
 * The linker redirects the library's calls to the functions below.
 * link: -Wl,--wrap=send,--wrap=sendmsg
 */

#include "room.h"

/* What the kernel does next: it takes so many bytes of one call, then fails once. */
static size_t takes;
static int error;

ssize_t __real_send(int sd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int sd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int sd, const void *bytes, size_t size, int flags)
{
	size_t taken = takes;

	if (error == 0)
		return __real_send(sd, bytes, size, flags);
	if (taken > 0) {
		CHECK(taken <= size);
		takes = 0;
		return __real_send(sd, bytes, taken, flags);
	}
	errno = error;
	error = 0;
	return -1;
}

ssize_t __real_sendmsg(int sd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int sd, const struct msghdr *header, int flags);
ssize_t __wrap_sendmsg(int sd, const struct msghdr *header, int flags)
{
	const struct iovec *first = header->msg_iov;

	return error == 0 ? __real_sendmsg(sd, header, flags)
	                  : __wrap_send(sd, first->iov_base, first->iov_len, flags);
}

/* The peer reads a prefix and then the end, never a stream with a gap. */
TEST(a_stream_that_has_lost_something_ends_there)
{
	struct client client;
	conn_pool_t pool;
	char byte;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, "one, ", 5, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "two", 3, &pool), 0);
	takes = 4;
	error = ECONNRESET;
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), ECONNRESET);
	CHECK_EQ(add_msg(OUTSIDER, "three", 5, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	check_receives(client.peer, "one,", 4);
	CHECK(is_readable(client.peer));
	CHECK_EQ(read(client.peer, &byte, 1), 0);
	/* The other direction stays open. */
	CHECK_EQ(write(client.peer, "bye", 3), 3);
	check_receives(client.sd, "bye", 3);
	leave(client, &pool);
}

/* Each datagram stands alone, so a lost one leaves no gap. */
TEST(datagrams_go_on_after_one_is_lost)
{
	struct client client;
	conn_pool_t pool;
	int ends[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	client = (struct client){ .sd = ends[0], .peer = ends[1] };
	init_pool(&pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "lost", 4, &pool), 0);
	error = ECONNREFUSED;
	CHECK_FAILS(write_msg(client.sd, &pool), ECONNREFUSED);
	CHECK_EQ(add_msg(OUTSIDER, "received", 8, &pool), 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	check_receives(client.peer, "received", 8);
	leave(client, &pool);
}

/* A program may write to a socket too early, and listen on it later. */
TEST(a_socket_that_is_not_connected_yet_may_still_listen)
{
	struct client client = { .sd = bind_to_loopback() };
	conn_pool_t pool;
	int accepted;

	init_pool(&pool);
	CHECK_EQ(add_conn(client.sd, &pool), 0);
	CHECK_EQ(add_msg(OUTSIDER, "hello", 5, &pool), 0);
	CHECK_FAILS(write_msg(client.sd, &pool), EPIPE);
	CHECK_EQ(listen(client.sd, 1), 0);
	client.peer = connect_to(client.sd);
	accepted = accept(client.sd, NULL, NULL);
	CHECK_EQ(send(accepted, "hello", 5, MSG_NOSIGNAL), 5);
	check_receives(client.peer, "hello", 5);
	close(accepted);
	leave(client, &pool);
}
