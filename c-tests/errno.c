/* errno: a call that succeeds leaves it alone, whatever system call failed on the way. */

#include "chatServerExt.h"
#include "room.h"

enum { UNTOUCHED = 12345 };

/* Ends the test unless the call succeeds and leaves errno alone. */
#define CHECK_KEEPS_ERRNO(call)             \
	do {                                \
		errno = UNTOUCHED;          \
		CHECK_EQ(call, 0);          \
		CHECK_EQ(errno, UNTOUCHED); \
	} while (0)

static conn_pool_t pool;

/* Most calls ask whether a descriptor is a listening socket, and a pipe is no socket at all. */
TEST(descriptors_that_are_no_sockets_leave_no_errno)
{
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	CHECK_KEEPS_ERRNO(init_pool(&pool));
	CHECK_KEEPS_ERRNO(add_conn(ends[1], &pool));
	CHECK_KEEPS_ERRNO(add_msg(OUTSIDER, "one ", 4, &pool));
	CHECK_KEEPS_ERRNO(chat_tell(ends[1], "two ", 4, &pool));
	CHECK_KEEPS_ERRNO(write_msg(ends[1], &pool));
	CHECK_KEEPS_ERRNO(write_msg(ends[1], &pool));
	CHECK_KEEPS_ERRNO(chat_feed(ends[1], "three\n", 6, &pool));
	CHECK_KEEPS_ERRNO(chat_receive(ends[1], "three\n", 6, &pool));
	CHECK_KEEPS_ERRNO(chat_cork(&pool));
	CHECK_KEEPS_ERRNO(chat_say(-1, "four", 4, &pool));
	CHECK_KEEPS_ERRNO(chat_uncork(&pool));
	CHECK_KEEPS_ERRNO(chat_get_info(ends[1], &pool, &(chat_conn_info_t){ 0 }));
	check_receives(ends[0], "one two four", 12);
	CHECK_KEEPS_ERRNO(remove_conn(ends[1], &pool));
	close(ends[0]);
}

TEST(a_descriptor_that_the_program_has_closed_leaves_no_errno)
{
	struct client client;

	open_room(&client, 1, &pool);
	close(client.sd);
	CHECK_KEEPS_ERRNO(add_msg(OUTSIDER, "hello", 5, &pool));
	CHECK_KEEPS_ERRNO(remove_conn(client.sd, &pool));
	CHECK_KEEPS_ERRNO(add_conn(client.sd, &pool));
	CHECK_KEEPS_ERRNO(remove_conn(client.sd, &pool));
	close(client.peer);
}

/* Only write_msg tells why something is left. */
TEST(a_full_kernel_leaves_an_errno_in_write_msg_alone)
{
	static char text[1 << 20];
	struct client client;

	open_room(&client, 1, &pool);
	CHECK_EQ(add_msg(OUTSIDER, text, sizeof text, &pool), 0);
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK(queued(client.sd, &pool) > 0);
	errno = UNTOUCHED;
	CHECK_EQ(write_msg(client.sd, &pool), 0);
	CHECK_EQ(errno, EAGAIN);
	/* There is no room, so the kernel is asked to take some first. */
	chat_set_max_queue(1);
	CHECK_KEEPS_ERRNO(add_msg(OUTSIDER, text, 1, &pool));
	CHECK_FAILS(write_msg(client.sd, &pool), ENOBUFS);
	leave(client, &pool);
}

TEST(a_batch_that_the_kernel_does_not_take_leaves_no_errno)
{
	static char text[1 << 20];
	struct client clients[2];

	open_room(clients, 2, &pool);
	while (send(clients[0].sd, text, sizeof text, MSG_DONTWAIT) > 0)
		;
	close(clients[1].peer);
	CHECK_KEEPS_ERRNO(chat_cork(&pool));
	CHECK_KEEPS_ERRNO(add_msg(OUTSIDER, text, sizeof text, &pool));
	CHECK_KEEPS_ERRNO(chat_uncork(&pool));
	CHECK_EQ(queued(clients[0].sd, &pool), 1);
	CHECK_EQ(queued(clients[1].sd, &pool), 0);
	leave(clients[0], &pool);
	CHECK_EQ(remove_conn(clients[1].sd, &pool), 0);
}
