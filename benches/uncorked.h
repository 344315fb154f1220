/* uncorked.h - the server as existing programs are: see uncorked.c. */

#ifndef UNCORKED_H
#define UNCORKED_H

/* All that a pass reads is in memory once for each client. */
#define BYTES_A_PASS (20U << 20)

#define chat_cork   no_cork
#define chat_uncork no_uncork
#define read        read_some

#endif
