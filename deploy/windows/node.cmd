@echo off
rem fedscreen node, with the Python of this folder and nothing else of this computer.
setlocal
if not defined FEDSCREEN_NODE_DIR set "FEDSCREEN_NODE_DIR=%~dp0node"
"%~dp0python\python.exe" -X utf8 -m fedscreen node %*
exit /b %ERRORLEVEL%
