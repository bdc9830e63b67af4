@echo off
rem The node's page on this computer. Leave this window open; Ctrl-C ends it.
call "%~dp0node.cmd" console %*
echo.
pause
