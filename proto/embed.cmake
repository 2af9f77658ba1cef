# Write a file's bytes as a C array: dpc_schema holds the FileDescriptorSet that logs carry.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "// Generated from dpc.proto.\nstatic const unsigned char dpc_schema[] = {${bytes}};\n")
