@echo off
rem Drop the county's file on this one: first the invitation, later the grant.
call "%~dp0node.cmd" setup %*
echo.
pause
