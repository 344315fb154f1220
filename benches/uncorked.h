/* uncorked.h - what makes of the server one such as existing programs are: see uncorked.c. */

#ifndef UNCORKED_H
#define UNCORKED_H

/* All that a pass says is in memory as often as there are clients. */
#define BYTES_A_PASS (20U << 20)

#define chat_cork   no_cork
#define chat_uncork no_uncork
#define read        read_some

#endif
