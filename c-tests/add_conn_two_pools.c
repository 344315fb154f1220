/* add_conn of a number that was in two pools: it is taken for new without a walk along the list. */

#include "room.h"

enum { COUNT = 8 };

static conn_pool_t lobby, room;

/* Takes a connection out of the lobby as a program does that moves it to a room: without closing
 * the descriptor. */
static void take_out_of_lobby(int sd)
{
	conn_t *conn = conn_of(sd, &lobby);

	unlink_conn(conn, &lobby);
	lobby.nr_conns--;
	FD_CLR(sd, &lobby.read_set);
	FD_CLR(sd, &lobby.write_set);
	free_conn(conn);
}

/* Adds a client with the number, while a connection in the middle of the list pretends to have it:
 * a walk would find that one, and the call would fail. */
static struct client join_lobby_without_a_walk(int sd)
{
	conn_t *decoy = lobby.conn_head->next->next;
	const int number = decoy->fd;
	struct client client = connect_client();

	CHECK_EQ(client.sd, sd);
	decoy->fd = sd;
	CHECK_EQ(add_conn(sd, &lobby), 0);
	decoy->fd = number;
	return client;
}

/* Moves a client from the lobby to the room, where it leaves, and lets another with the same number
 * join the lobby. */
static struct client replace(struct client client)
{
	take_out_of_lobby(client.sd);
	CHECK_EQ(add_conn(client.sd, &room), 0);
	/* The next call walks along the list, since it has changed. */
	leave(join(&lobby), &lobby);
	check_in_touch(&client, 1, &room);
	leave(client, &room);
	return join_lobby_without_a_walk(client.sd);
}

TEST(a_number_that_was_in_two_pools_is_as_new_as_any)
{
	struct client clients[COUNT];
	int at;

	open_room(clients, COUNT, &lobby);
	CHECK_EQ(init_pool(&room), 0);
	for (at = 3; at < COUNT; at++)
		clients[at] = replace(clients[at]);
	check_in_touch(clients, COUNT, &lobby);
	for (at = 0; at < COUNT; at++)
		CHECK_FAILS(add_conn(clients[at].sd, &lobby), EEXIST);
	leave_all(clients, COUNT, &lobby);
}

/* The pool in which the number stays has been freed. */
TEST(a_number_in_a_pool_that_is_no_more_is_as_new_as_any)
{
	conn_pool_t *gone = malloc(sizeof *gone);
	struct client clients[COUNT];
	int sd;

	open_room(clients, COUNT, &lobby);
	sd = clients[COUNT - 1].sd;
	take_out_of_lobby(sd);
	leave(join(&lobby), &lobby);
	CHECK_EQ(init_pool(gone), 0);
	CHECK_EQ(add_conn(sd, gone), 0);
	free_conn(gone->conn_head);
	free(gone);
	close(sd);
	close(clients[COUNT - 1].peer);
	clients[COUNT - 1] = join_lobby_without_a_walk(sd);
	check_in_touch(clients, COUNT, &lobby);
	leave_all(clients, COUNT, &lobby);
}

/* A number that is in both pools at the same time is found in either. */
TEST(a_number_in_two_pools_is_refused_by_both)
{
	struct client clients[COUNT];
	int at, round;

	open_room(clients, COUNT, &lobby);
	CHECK_EQ(init_pool(&room), 0);
	for (at = 0; at < COUNT; at++)
		CHECK_EQ(add_conn(clients[at].sd, &room), 0);
	for (round = 0; round < 2; round++)
		for (at = 0; at < COUNT; at++) {
			CHECK_FAILS(add_conn(clients[at].sd, &lobby), EEXIST);
			CHECK_FAILS(add_conn(clients[at].sd, &room), EEXIST);
		}
	leave_all(clients, COUNT, &lobby);
	while (room.conn_head != NULL)
		CHECK_EQ(remove_conn(room.conn_head->fd, &room), 0);
}
