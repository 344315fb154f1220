/* chat_tell: a message for one connection. */

#include "chatServerExt.h"
#include "room.h"

TEST(chat_tell_queues_for_one_recipient_alone)
{
	struct client clients[3];
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_tell(clients[1].sd, "psst", 4, &pool), 0);
	CHECK_EQ(queued(clients[0].sd, &pool), 0);
	CHECK_EQ(queued(clients[2].sd, &pool), 0);
	CHECK(FD_ISSET(clients[1].sd, &pool.write_set));
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	check_receives(clients[1].peer, "psst", 4);
	CHECK_EQ(chat_tell(clients[1].sd, NULL, 0, &pool), 0);
	CHECK_EQ(queued(clients[1].sd, &pool), 0);
	leave_all(clients, 3, &pool);
}

TEST(chat_tell_refuses_arguments_that_make_no_sense)
{
	struct client client;
	conn_pool_t pool;

	open_room(&client, 1, &pool);
	CHECK_FAILS(chat_tell(client.sd, "x", 1, NULL), EINVAL);
	CHECK_FAILS(chat_tell(client.sd, NULL, 1, &pool), EINVAL);
	CHECK_FAILS(chat_tell(client.sd, "x", -1, &pool), EINVAL);
	CHECK_FAILS(chat_tell(client.sd + 1, "x", 1, &pool), ENOENT);
	CHECK_FAILS(chat_tell(-1, "x", 1, &pool), ENOENT);
	leave(client, &pool);
}
