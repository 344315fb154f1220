/* chat_feed: puts together whole lines from reads of any size. */

#include <sys/mman.h>

#include "chatServerExt.h"
#include "room.h"

/* The most that is kept of an unfinished line; see the header. */
enum { PIECE = 64 * 1024 };

/* A sender, and a recipient that shows what was passed on. */
struct talk {
	conn_pool_t pool;
	struct client speaker, listener;
};

static void begin(struct talk *talk)
{
	init_pool(&talk->pool);
	talk->speaker = join(&talk->pool);
	talk->listener = join(&talk->pool);
}

static void finish(struct talk *talk)
{
	leave(talk->speaker, &talk->pool);
	leave(talk->listener, &talk->pool);
}

static void feed(struct talk *talk, const char *bytes, size_t size)
{
	CHECK_EQ(chat_feed(talk->speaker.sd, bytes, (int)size, &talk->pool), 0);
	check_sound(&talk->pool);
	CHECK_EQ(queued(talk->speaker.sd, &talk->pool), 0);
}

/* How many bytes are queued for the recipient. */
static size_t passed_on(struct talk *talk)
{
	const msg_t *msg = conn_of(talk->listener.sd, &talk->pool)->write_msg_head;
	size_t size = 0;

	for (; msg != NULL; msg = msg->next)
		size += (size_t)msg->size;
	return size;
}

/* Checks that the recipient has received these bytes and nothing else. */
static void check_told(struct talk *talk, const char *bytes, size_t size)
{
	char *received = malloc(size + 1);
	size_t count = 0;

	while (queued(talk->listener.sd, &talk->pool) > 0) {
		CHECK_EQ(write_msg(talk->listener.sd, &talk->pool), 0);
		count += read_available(talk->listener.peer, received + count, size + 1 - count);
		CHECK(count <= size);
	}
	CHECK_EQ(count, size);
	CHECK(size == 0 || memcmp(received, bytes, size) == 0);
	free(received);
}

/* What is fed, NULL being the end of the file, and what is passed on then. */
struct exchange {
	const char *fed, *received;
};

static void check_exchanges(const struct exchange *exchange, int count)
{
	struct talk talk;

	begin(&talk);
	for (; count-- > 0; exchange++) {
		const size_t size = strlen(exchange->received);

		feed(&talk, exchange->fed, exchange->fed != NULL ? strlen(exchange->fed) : 0);
		CHECK_EQ(passed_on(&talk), size);
		CHECK_EQ(FD_ISSET(talk.listener.sd, &talk.pool.write_set) != 0, size > 0);
		CHECK(!FD_ISSET(talk.speaker.sd, &talk.pool.write_set));
		check_told(&talk, exchange->received, size);
	}
	finish(&talk);
}

#define CHECK_EXCHANGES(...)                                      \
	check_exchanges((const struct exchange[]){ __VA_ARGS__ }, \
	                sizeof(struct exchange[]){ __VA_ARGS__ } / sizeof(struct exchange))

TEST(a_whole_line_is_passed_on_and_a_tail_is_kept_until_its_line_ends)
{
	CHECK_EXCHANGES({ "hello\n", "hello\n" }, { "hello, ", "" }, { "world", "" },
	                { "\nand", "hello, world\n" }, { " more\n", "and more\n" });
}

TEST(cr_and_lf_may_come_apart)
{
	CHECK_EXCHANGES({ "hello\r", "" }, { "\n", "hello\r\n" }, { "a\rb\r", "" },
	                { "\n\r\n", "a\rb\r\n\r\n" });
}

TEST(empty_lines_are_lines)
{
	CHECK_EXCHANGES({ "\n", "\n" }, { "\n\n\na", "\n\n\n" }, { "\n\n", "a\n\n" });
}

TEST(the_end_of_the_file_delivers_the_tail_once)
{
	CHECK_EXCHANGES({ "first\nlast", "first\n" }, { NULL, "last" }, { NULL, "" },
	                { "more\n", "more\n" });
}

TEST(all_whole_lines_of_a_call_make_one_message)
{
	struct talk talk;

	begin(&talk);
	feed(&talk, "one\ntwo\nthree\nfo", 16);
	CHECK_EQ(queued(talk.listener.sd, &talk.pool), 1);
	CHECK_EQ(passed_on(&talk), 14);
	feed(&talk, "ur\nfive\n", 8);
	CHECK_EQ(queued(talk.listener.sd, &talk.pool), 2);
	check_told(&talk, "one\ntwo\nthree\nfour\nfive\n", 24);
	finish(&talk);
}

TEST(lines_may_come_byte_by_byte)
{
	static const char text[] = "byte\r\nby\n\nbyte\n";
	struct talk talk;
	size_t at, whole = 0;

	begin(&talk);
	for (at = 0; at < sizeof text - 1; at++) {
		feed(&talk, text + at, 1);
		if (text[at] == '\n')
			whole = at + 1;
		CHECK_EQ(passed_on(&talk), whole);
	}
	CHECK_EQ(queued(talk.listener.sd, &talk.pool), 4);
	check_told(&talk, text, sizeof text - 1);
	finish(&talk);
}

TEST(two_clients_never_mix)
{
	struct client clients[3];
	conn_pool_t pool;

	open_room(clients, 3, &pool);
	CHECK_EQ(chat_feed(clients[0].sd, "from the ", 9, &pool), 0);
	CHECK_EQ(chat_feed(clients[1].sd, "SECOND", 6, &pool), 0);
	CHECK_EQ(chat_feed(clients[0].sd, "first\n", 6, &pool), 0);
	CHECK_EQ(chat_feed(clients[1].sd, " ONE\n", 5, &pool), 0);
	CHECK_EQ(write_msg(clients[0].sd, &pool), 0);
	CHECK_EQ(write_msg(clients[1].sd, &pool), 0);
	CHECK_EQ(write_msg(clients[2].sd, &pool), 0);
	check_receives(clients[0].peer, "SECOND ONE\n", 11);
	check_receives(clients[1].peer, "from the first\n", 15);
	check_receives(clients[2].peer, "from the first\nSECOND ONE\n", 26);
	leave_all(clients, 3, &pool);
}

TEST(the_end_of_a_file_without_a_tail_delivers_nothing)
{
	struct snapshot before;
	struct talk talk;

	begin(&talk);
	before = take_snapshot(&talk.pool);
	feed(&talk, NULL, 0);
	CHECK(is_unchanged(&before, &talk.pool));
	feed(&talk, "line\n", 5);
	check_told(&talk, "line\n", 5);
	feed(&talk, NULL, 0);
	CHECK_EQ(passed_on(&talk), 0);
	finish(&talk);
}

/* valgrind reports what is not freed. */
TEST(a_tail_goes_with_its_connection)
{
	struct talk talk;

	begin(&talk);
	feed(&talk, "never ended", 11);
	leave(talk.speaker, &talk.pool);
	CHECK_EQ(passed_on(&talk), 0);
	talk.speaker = join(&talk.pool);
	feed(&talk, "afresh\n", 7);
	check_told(&talk, "afresh\n", 7);
	finish(&talk);
}

TEST(a_line_may_have_any_bytes)
{
	char text[257];
	struct talk talk;
	int at;

	for (at = 0; at < 256; at++)
		text[at] = (char)at;
	text[256] = '\n';
	begin(&talk);
	feed(&talk, text, 100);
	feed(&talk, text + 100, 157);
	check_told(&talk, text, 257);
	feed(&talk, "\0\0", 2);
	CHECK_EQ(passed_on(&talk), 0);
	feed(&talk, "\0\n", 2);
	check_told(&talk, "\0\0\0\n", 4);
	finish(&talk);
}

TEST(listeners_are_passed_over)
{
	int listening = listen_on_loopback();
	struct talk talk;

	begin(&talk);
	CHECK_EQ(add_conn(listening, &talk.pool), 0);
	feed(&talk, "hello\n", 6);
	CHECK_EQ(queued(listening, &talk.pool), 0);
	CHECK(!FD_ISSET(listening, &talk.pool.write_set));
	check_told(&talk, "hello\n", 6);
	CHECK_EQ(remove_conn(listening, &talk.pool), 0);
	finish(&talk);
}

static void check_refused(int sd, const char *buffer, int len, int error, struct talk *talk)
{
	struct snapshot before = take_snapshot(&talk->pool);

	CHECK_FAILS(chat_feed(sd, buffer, len, &talk->pool), error);
	CHECK(is_unchanged(&before, &talk->pool));
}

TEST(errors_change_nothing)
{
	struct client stranger = connect_client();
	struct talk talk;

	begin(&talk);
	CHECK_FAILS(chat_feed(talk.speaker.sd, "x", 1, NULL), EINVAL);
	feed(&talk, "kept", 4);
	check_refused(talk.speaker.sd, "x\n", -1, EINVAL, &talk);
	check_refused(talk.speaker.sd, "x\n", INT_MIN, EINVAL, &talk);
	check_refused(talk.speaker.sd, NULL, 2, EINVAL, &talk);
	check_refused(stranger.sd, "x\n", 2, ENOENT, &talk);
	check_refused(stranger.sd, NULL, 0, ENOENT, &talk);
	check_refused(-1, "x\n", 2, ENOENT, &talk);
	check_refused(FD_SETSIZE, "x\n", 2, ENOENT, &talk);
	feed(&talk, "\n", 1);
	check_told(&talk, "kept\n", 5);
	close(stranger.sd);
	close(stranger.peer);
	finish(&talk);
}

TEST(exactly_len_bytes_are_looked_at_and_none_is_changed)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                   0);
	struct talk talk;

	CHECK(pages != MAP_FAILED);
	memcpy(pages + size - 8, "one\ntwo\n", 8);
	CHECK_EQ(mprotect(pages, size, PROT_READ), 0);
	CHECK_EQ(mprotect(pages + size, size, PROT_NONE), 0);
	begin(&talk);
	feed(&talk, pages + size - 8, 6);
	feed(&talk, pages + size - 2, 2);
	feed(&talk, pages + size - 3, 3);
	feed(&talk, pages + size, 0);
	check_refused(talk.speaker.sd, pages + size, -1, EINVAL, &talk);
	check_told(&talk, "one\ntwo\nwo\n", 11);
	munmap(pages, size * 2);
	finish(&talk);
}

/* Feeds a line of `size` bytes, newline included, in pieces of `step`. No more is kept than
 * allowed, and no line that fits is passed on early. */
static void check_long_line(size_t size, size_t step)
{
	char *line = malloc(size);
	struct talk talk;
	size_t at, given;

	fill(line, size, 0);
	for (at = 0; at < size; at++)
		line[at] = line[at] == '\n' ? ' ' : line[at];
	line[size - 1] = '\n';
	begin(&talk);
	for (at = 0; at < size; at += given) {
		given = size - at < step ? size - at : step;
		feed(&talk, line + at, given);
		if (at + given < size)
			CHECK_EQ(passed_on(&talk), (at + given) / PIECE * PIECE);
	}
	CHECK_EQ(passed_on(&talk), size);
	check_told(&talk, line, size);
	feed(&talk, NULL, 0);
	CHECK_EQ(passed_on(&talk), 0);
	free(line);
	finish(&talk);
}

TEST(lines_may_be_longer_than_a_buffer)
{
	static const size_t steps[] = { 1, 100, 4095, 4096, 4097 };
	size_t at;

	for (at = 0; at < sizeof steps / sizeof steps[0]; at++) {
		check_long_line(4095, steps[at]);
		check_long_line(4096, steps[at]);
		check_long_line(4097, steps[at]);
	}
}

TEST(lines_of_64_kib_and_more_go_on_in_pieces)
{
	static const size_t steps[] = { 4096, 5000, 65535, 65536, 65537, 200000, 1000000 };
	size_t at;

	for (at = 0; at < sizeof steps / sizeof steps[0]; at++) {
		check_long_line(65535, steps[at]);
		check_long_line(65536, steps[at]);
		check_long_line(65537, steps[at]);
		check_long_line(1000000, steps[at]);
	}
}

TEST(a_long_line_without_an_end_is_delivered_at_the_end_of_the_file)
{
	enum { SIZE = PIECE + 1000 };
	char *line = malloc(SIZE);
	struct talk talk;

	memset(line, 'x', SIZE);
	begin(&talk);
	feed(&talk, line, SIZE);
	CHECK_EQ(passed_on(&talk), PIECE);
	feed(&talk, NULL, 0);
	CHECK_EQ(passed_on(&talk), SIZE);
	check_told(&talk, line, SIZE);
	free(line);
	finish(&talk);
}
