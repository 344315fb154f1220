/*
 * model: random sequences of all calls against a model that knows what everyone must have heard.
 *
 * The seed is printed with a failure; CHAT_SEED=N replays it.
 */

#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>

#include "chatServerExt.h"
#include "check.h"

enum { MOST = 12, SEEDS = 60, STEPS = 400, ROOM_FOR_TEXT = 1 << 20, LONGEST = 3000 };

/* One who is in the room: a socket pair, the near end in the pool. */
struct member {
	int near, far;
	char *expected; /* all that is to be heard */
	size_t length, heard;
	char line[LONGEST + 1]; /* said by chat_feed and not ended */
	size_t kept;
};

static conn_pool_t pool;
static struct member members[MOST];
static int nr_members;
static uint64_t state;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % limit;
}

static void expect(struct member *member, const char *text, size_t length)
{
	CHECK(member->length + length <= ROOM_FOR_TEXT);
	memcpy(member->expected + member->length, text, length);
	member->length += length;
}

/* What `speaker` says (NULL: somebody outside), all others are to hear. */
static void expect_of_others(const struct member *speaker, const char *text, size_t length)
{
	int at;

	for (at = 0; at < nr_members; at++) {
		if (&members[at] != speaker)
			expect(&members[at], text, length);
	}
}

static void join(void)
{
	struct member *member = &members[nr_members];
	int pair[2], size = 4096;

	if (nr_members == MOST)
		return;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	memset(member, 0, sizeof *member);
	member->near = pair[0];
	member->far = pair[1];
	member->expected = malloc(ROOM_FOR_TEXT);
	CHECK(member->expected != NULL);
	CHECK_EQ(add_conn(pair[0], &pool), 0);
	nr_members++;
}

/* Reads what has arrived, at most so many bytes, and compares. */
static void hear(struct member *member, size_t most)
{
	char buffer[4096];
	ssize_t count = 1;

	while (most > 0 && count > 0) {
		count = recv(member->far, buffer, most < sizeof buffer ? most : sizeof buffer,
		             MSG_DONTWAIT);
		if (count > 0) {
			CHECK(member->heard + (size_t)count <= member->length);
			CHECK(memcmp(member->expected + member->heard, buffer, (size_t)count) == 0);
			member->heard += (size_t)count;
			most -= (size_t)count;
		}
	}
}

static void leave(int at)
{
	struct member *member = &members[at];

	CHECK_EQ(remove_conn(member->near, &pool), 0);
	hear(member, SIZE_MAX);
	close(member->far);
	free(member->expected);
	nr_members--;
	memmove(member, member + 1, (size_t)(nr_members - at) * sizeof *member);
}

static size_t some_text(char *text)
{
	size_t length = below(8) == 0 ? below(LONGEST) : below(60), at;

	for (at = 0; at < length; at++)
		text[at] = (char)below(256);
	return length;
}

static void say(void)
{
	char text[LONGEST];
	size_t length = some_text(text), at;
	int who = (int)below((unsigned)nr_members + 1);
	struct member *speaker = who == nr_members ? NULL : &members[who];
	int sd = speaker == NULL ? 1023 : speaker->near;

	if (below(2) == 0) {
		CHECK_EQ(add_msg(sd, text, (int)length, &pool), 0);
	} else {
		CHECK_EQ(addMsg(sd, text, (int)length, &pool), 0);
		for (at = 0; at < length; at++) {
			if (text[at] >= 'a' && text[at] <= 'z')
				text[at] = (char)(text[at] - 'a' + 'A');
		}
	}
	expect_of_others(speaker, text, length);
}

/* Says something piece by piece: only what has ended in a newline is to be heard. */
static void feed(void)
{
	char text[LONGEST];
	size_t length = some_text(text), at, whole = 0;
	struct member *speaker = &members[below((unsigned)nr_members)];

	if (length == 0 || speaker->kept + length > LONGEST)
		return;
	CHECK_EQ(chat_feed(speaker->near, text, (int)length, &pool), 0);
	for (at = 0; at < length; at++) {
		if (text[at] == '\n')
			whole = at + 1;
	}
	if (whole > 0) {
		expect_of_others(speaker, speaker->line, speaker->kept);
		expect_of_others(speaker, text, whole);
		speaker->kept = 0;
	}
	memcpy(speaker->line + speaker->kept, text + whole, length - whole);
	speaker->kept += length - whole;
}

static void end_line(void)
{
	struct member *speaker = &members[below((unsigned)nr_members)];

	CHECK_EQ(chat_feed(speaker->near, NULL, 0, &pool), 0);
	expect_of_others(speaker, speaker->line, speaker->kept);
	speaker->kept = 0;
}

static void tell(void)
{
	char text[LONGEST];
	size_t length = some_text(text);
	struct member *member = &members[below((unsigned)nr_members)];

	CHECK_EQ(chat_tell(member->near, text, (int)length, &pool), 0);
	expect(member, text, length);
}

static void write_all(void)
{
	conn_t *conn;

	for (conn = pool.conn_head; conn != NULL; conn = conn->next)
		CHECK_EQ(write_msg(conn->fd, &pool), 0);
}

/* Makes the write set anew, as programs do. */
static void rebuild_write_set(void)
{
	conn_t *conn;

	FD_ZERO(&pool.write_set);
	for (conn = pool.conn_head; conn != NULL; conn = conn->next) {
		if (conn->write_msg_head != NULL)
			FD_SET(conn->fd, &pool.write_set);
	}
}

static void step(void)
{
	switch (below(nr_members == 0 ? 1 : 14)) {
	case 0: join(); break;
	case 1: leave((int)below((unsigned)nr_members)); break;
	case 2: case 3: case 4: say(); break;
	case 5: case 6: feed(); break;
	case 7: end_line(); break;
	case 8: tell(); break;
	case 9: CHECK_EQ(chat_cork(&pool), 0); break;
	case 10: CHECK_EQ(chat_uncork(&pool), 0); break;
	case 11: write_all(); break;
	case 12: hear(&members[below((unsigned)nr_members)], below(5000)); break;
	case 13: rebuild_write_set(); break;
	}
}

/* What must hold after every step. */
static void check_pool(void)
{
	conn_t *conn, *prev = NULL;
	int count = 0;

	for (conn = pool.conn_head; conn != NULL; prev = conn, conn = conn->next) {
		const msg_t *msg, *before = NULL;

		CHECK(conn->prev == prev);
		CHECK(count < nr_members);
		CHECK_EQ(conn->fd, members[count].near);
		CHECK(conn->fd <= pool.maxfd);
		CHECK(FD_ISSET(conn->fd, &pool.read_set));
		CHECK_EQ(!!FD_ISSET(conn->fd, &pool.write_set), conn->write_msg_head != NULL);
		for (msg = conn->write_msg_head; msg != NULL; before = msg, msg = msg->next) {
			CHECK(msg->prev == before);
			CHECK(msg->size > 0);
			CHECK(msg->next != NULL || msg == conn->write_msg_tail);
		}
		count++;
	}
	CHECK_EQ(count, nr_members);
	CHECK_EQ(pool.nr_conns, nr_members);
}

/* Lets everyone hear the rest. */
static void hear_all(void)
{
	int at, behind = nr_members;

	CHECK_EQ(chat_uncork(&pool), 0);
	while (behind > 0) {
		write_all();
		for (behind = nr_members, at = 0; at < nr_members; at++) {
			hear(&members[at], SIZE_MAX);
			if (members[at].heard == members[at].length)
				behind--;
		}
	}
}

static void play(uint64_t seed)
{
	int count;

	state = seed * 0x9e3779b97f4a7c15u + 1;
	fprintf(stderr, "CHAT_SEED=%lu\n", (unsigned long)seed);
	CHECK_EQ(init_pool(&pool), 0);
	for (count = 0; count < STEPS; count++) {
		step();
		check_pool();
	}
	hear_all();
	while (nr_members > 0)
		leave((int)below((unsigned)nr_members));
	check_pool();
	CHECK_EQ(pool.maxfd, 0);
}

TEST(everyone_hears_what_the_model_says)
{
	const char *given = getenv("CHAT_SEED");
	uint64_t seed;

	chat_set_quiet(1);
	chat_set_max_queue(0);
	if (given != NULL) {
		play(strtoull(given, NULL, 10));
		return;
	}
	for (seed = 1; seed <= SEEDS; seed++)
		play(seed);
}
